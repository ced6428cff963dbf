"""`python -m gan_runner` does what `gan-run` does."""

from gan_runner.cli.entry import main

if __name__ == "__main__":
    main()
