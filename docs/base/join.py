"""Joins the works of works.tsv into one text to train the English model on.

python docs/base/join.py FOLDER base.txt

FOLDER holds the works. Those to learn from come first, shuffled by hash, and then the works that
are held out; prints the --validation-split that cuts between them, and their names.
"""

import csv
import hashlib
import sys
from pathlib import Path

# Characters to hold out of each kind, in whole works.
HELD_OUT = {"prose": 650_000, "verse": 120_000, "drama": 120_000, "speech": 60_000}
MOST = 1.25  # a work that would make it more than this many times as much is learned
BETWEEN = "\n\n\n"

Row = dict[str, str]


def works() -> list[Row]:
    """The lines of works.tsv."""
    with Path(__file__).with_name("works.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def by_hash(rows: list[Row], salt: str) -> list[Row]:
    """The works in an order of chance that is always the same."""
    return sorted(rows, key=lambda row: hashlib.sha256(f"{salt} {row['file']}".encode()).digest())


def held_out(rows: list[Row]) -> list[Row]:
    """The works that are not learned."""
    chosen = []
    for kind, wanted in HELD_OUT.items():
        characters = 0
        for row in by_hash([row for row in rows if row["kind"] == kind], "textgen base holdout"):
            size = int(row["characters"])
            if characters < wanted and characters + size <= MOST * wanted:
                chosen.append(row)
                characters += size
    return chosen


def main() -> None:
    """Write the text."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    rows = works()
    kept_back = held_out(rows)
    learned = by_hash([row for row in rows if row not in kept_back], "order")

    def joined(part: list[Row]) -> str:
        texts = ((folder / row["file"]).read_text(encoding="utf-8") for row in part)
        return "".join(text.rstrip("\n") + BETWEEN for text in texts)

    head, tail = joined(learned), joined(kept_back)
    out.write_text(head + tail, encoding="utf-8")
    characters = len(head) + len(tail)
    shares = (len(tail) / characters, (len(tail) + 0.5) / characters)
    split = next(share for share in shares if int(characters * share) == len(tail))
    print(f"--validation-split {split!r}")
    for row in kept_back:
        print(f"{row['kind']}\t{row['characters']}\t{row['file']}")


if __name__ == "__main__":
    main()
