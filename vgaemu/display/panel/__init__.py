"""The panel beside the picture: figures of the harvest, and a map of pages. No pygame here."""
