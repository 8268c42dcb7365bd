"""The networks: embedding, backbones, encoder, decoder, heads."""
