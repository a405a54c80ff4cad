    texts = [text[:-1] if text.endswith("\n") else text for text in texts]
    joined = "\n".join(texts)
    if joined.count("\n") == len(texts) - 1:
        return joined.encode(), None
