"""Who looks from elsewhere: an RFB (VNC) server for the picture and the keys, on one port.

`transport` carries bytes; `server` listens, and gives each viewer a session. Whoever has another
kind of transport (a WebSocket) calls `server.Server.talk(transport)` on a thread of its own, which
returns when the viewer has gone.
"""
