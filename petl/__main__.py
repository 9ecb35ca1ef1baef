"""The command `petl`, also as `python -m petl`."""

from petl.early import guard


def main() -> None:
    guard()
    from petl.cli import main

    try:
        main()
    finally:
        guard()  # while Python ends


if __name__ == "__main__":
    main()
