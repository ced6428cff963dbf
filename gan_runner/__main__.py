"""`python -m gan_runner` is `gan-run`."""

from gan_runner.cli import main

if __name__ == "__main__":
    main()
