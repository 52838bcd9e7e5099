"""How fast, and in how much memory, raw volunteer answers become votes: ten million answers within 2 GB.

    python benchmarks/volunteer_answers.py [answers in millions: 10] [flat | classifications | both]

A synthetic export is written first: 50,000 subjects, 40,000 volunteers with accounts and others without, five answers
to a classification. The reader runs in a process of its own, so that its peak is its own.
"""

import csv
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from zoobot.shared.schemas import get_schema
from zoobot.shared.volunteer_answers import from_zooniverse

SUBJECTS, VOLUNTEERS, QUESTIONS = 50_000, 40_000, 5
HEADER = (
    *("classification_id", "user_name", "user_id", "user_ip", "workflow_id", "workflow_name", "workflow_version"),
    *("created_at", "gold_standard", "expert", "metadata", "annotations", "subject_data", "subject_ids"),
)
IMAGE = "![answer.png](https://images.example.org/production/project_attached_image/f353f2f1-a47e-439d-b9ca.png) "
METADATA = json.dumps({"session": "e69d40c9" * 8, "user_agent": "Mozilla/5.0 " * 8, "viewport": {"width": 1081}})


def classifications(count: int, rng: random.Random):
    """Number, volunteer (None: not logged in), subject, time and answers, five each."""
    questions = get_schema("decals-dr5").questions[:QUESTIONS]
    choices = {question.text: [answer.short_text for answer in question.answers] for question in questions}
    for number in range(count):
        volunteer = rng.randrange(VOLUNTEERS) if rng.random() < 0.8 else None
        moment = f"2019-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:{number % 60:02}:11.904Z"
        answers = [(question, rng.choice(texts)) for question, texts in choices.items()]
        yield number, volunteer, rng.randrange(SUBJECTS), moment, answers


def write_flat(path: Path, count: int) -> None:
    with path.open("w") as file:
        for number, volunteer, subject, moment, answers in classifications(count, random.Random(1)):
            user = "" if volunteer is None else f'"user_id":"{volunteer}",'
            common = f'{{"created_at":"{moment}","workflow_id":"10581",{user}"subject_id":"{subject}",'
            common += f'"classification_id":"{number}",'
            for question, answer in answers:
                file.write(f'{common}"question":"{question}","response":"{answer}","response_id":"3320253520"}}\n')


def write_classifications(path: Path, count: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number, volunteer, subject, moment, answers in classifications(count, random.Random(1)):
            user = "" if volunteer is None else volunteer
            annotations = [
                {"task": question, "task_label": "How prominent is it?", "value": IMAGE + answer}
                for question, answer in answers
            ]
            data = {str(subject): {"retired": None, "ra": 319.1, "dec": -0.8, "!iauname": f"J{subject}", "z": 0.01}}
            created = moment[:19].replace("T", " ") + " UTC"
            row = [number, f"volunteer-{user}", user, f"{number:020x}", 6122, "DECaLS DR5", "28.30", created, "", ""]
            row[1] = row[1] if user != "" else f"not-logged-in-{number:020x}"
            writer.writerow([*row, METADATA, json.dumps(annotations), json.dumps(data), subject])


def measure(path: Path) -> None:
    start = time.perf_counter()
    count = from_zooniverse(path, "panoptes-decals", path.with_suffix(".parquet"))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{path.name:24}{path.stat().st_size / 1e9:6.2f} GB{count.n_answers:12,} answers{seconds:8.1f} s"
        f"{count.n_answers / seconds:12,.0f} answers/s{peak:7.2f} GB peak memory, {count.n_replaced:,} replaced"
    )


def main(millions: float, forms: str) -> None:
    writers = {"flat": write_flat, "classifications": write_classifications}
    with tempfile.TemporaryDirectory() as folder:
        for form in writers if forms == "both" else [forms]:
            path = Path(folder) / {"flat": "answers.jsonl", "classifications": "classifications.csv"}[form]
            writers[form](path, round(millions * 1e6 / QUESTIONS))
            reader = multiprocessing.get_context("spawn").Process(target=measure, args=(path,))
            reader.start()
            reader.join()
            path.unlink()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10, sys.argv[2] if len(sys.argv) > 2 else "both")
