"""`python -m gan_runner` is `gan-run`."""

from gan_runner.cli.run import main

if __name__ == "__main__":
    main()
