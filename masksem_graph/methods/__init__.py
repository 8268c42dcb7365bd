"""Parts that one method alone has, a folder a method."""
