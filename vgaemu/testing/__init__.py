"""A pytest plugin: machines for tests, and golden screens. docs/testing-a-kernel.md is its page.

    def test_boot(vga, screen):
        machine = vga("kernel.img")
        machine.tick(60)
        assert machine == screen

pytest loads `plugin` by itself wherever vgaemu is installed; it imports nothing heavy before a test
asks for one of its fixtures. For annotations there are `vgaemu.testing.evidence.MachineFactory` and
`vgaemu.testing.screens.ScreenAssertion`.
"""
