"""Parts that one method alone has, a file a method."""
