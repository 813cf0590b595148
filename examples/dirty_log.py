"""The dirty log alone
===================

Write memory, harvest, and see pages, words and ffs..fls spans. Nothing here knows of a screen.
"""

import vgaemu

slot = vgaemu.Memslot(npages=256)  # 1 MiB
migration = slot.subscribe()  # a second reader, who loses nothing to the first

slot.write(5 * 4096, b"one byte or many, the page is dirty")
slot.write(9 * 4096 - 1, b"ab")  # the last byte of page 8, the first of page 9
slot.write(200 * 4096, b"far away")

log = slot.get_dirty_log()
print("pages", log.pages().tolist())
print("words", [f"{word:#x}" for word in log.words.tolist()])
print("spans", log.spans(), "from words of 64 pages:", "clean pages 6 and 7 come along")
print("spans", log.spans(word_pages=8), "from words of 8")

print("again", slot.get_dirty_log().pages().tolist(), "for the harvest cleared the log")
print("other", migration.get_dirty_log().pages().tolist(), "for a reader of its own")
