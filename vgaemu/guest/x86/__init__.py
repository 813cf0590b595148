"""Machine-code guests: a PC around the VGA, whose CPU is Unicorn's or the host's own through KVM."""
