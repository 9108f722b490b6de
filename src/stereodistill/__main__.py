"""`python -m stereodistill`: the command line, also for launchers (`accelerate launch -m stereodistill train ...`)."""

from stereodistill.cli import main

if __name__ == "__main__":
    main()
