"""What was left out of the images that somebody sends, in words."""


def omissions(files: int, frames: int) -> list[str]:
    """Return a sentence on each of what was left out: files that are no images by name, and frames after the first."""
    sentences = {
        f"Left out, no image files by name: {files:,}.": files,
        f"Further frames of the images, left out: {frames:,}.": frames,
    }
    return [sentence for sentence, count in sentences.items() if count]
