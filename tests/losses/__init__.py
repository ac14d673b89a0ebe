"""The loss table: its rows, how they are measured, and the page that is made of them."""
