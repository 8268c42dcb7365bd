"""Stand-in until the transforms branch is merged."""


def clip_frames(store: object, view: str, of: str) -> object:
    raise NotImplementedError
