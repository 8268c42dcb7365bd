"""From files to clips: readers, the store, and batches on the device."""
