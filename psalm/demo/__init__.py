"""The demo: sample images, three questions each, and a page that shows the answers."""
