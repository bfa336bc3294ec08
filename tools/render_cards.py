"""Render the cards of the zoo and the README's table again, from what training wrote: `python tools/render_cards.py`."""

import re
from pathlib import Path

from keras_ood.hub import card, handles

README = Path(__file__).parents[1] / "README.md"
TABLE = re.compile(r"(<!-- presets -->\n).*?(<!-- /presets -->)", re.DOTALL)


def main() -> None:
    """Write every `zoo/*/README.md` and the table in `README.md`."""
    for name in handles.list_models():
        card.write(handles.zoo_folder() / name)
    README.write_text(TABLE.sub(lambda found: found[1] + card.preset_table() + "\n" + found[2], README.read_text()))


if __name__ == "__main__":
    main()
