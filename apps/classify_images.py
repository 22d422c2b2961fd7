"""Classify images: train on folders of pictures, one for each class, score, export, ask.

zoo classify_images train    --train pictures                pictures/cat/1.jpg, pictures/dog/1.jpg; a recipe is written
zoo classify_images train    --train labels.csv              columns image (a file's path) and label
zoo classify_images train    --recipe fashion-mnist
zoo classify_images export   runs/pictures saved_models/my   a SavedModel that takes the bytes of an image file
zoo classify_images evaluate saved_models/my --test held-back
zoo classify_images predict  saved_models/my holiday/*.jpg
"""

from __future__ import annotations

from apps.commands.frame import task_line

app = task_line("classify_images", __doc__, of_files=True)

main = app.main
if __name__ == "__main__":
    raise SystemExit(main())
