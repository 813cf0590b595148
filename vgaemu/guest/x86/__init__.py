"""Machine-code guests: a PC around the VGA; its CPU is Unicorn's, or the host's through KVM."""
