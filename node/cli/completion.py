"""Shell completion: a script that makes `indelible` a command of one's shell and completes its words."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from string import Template
from typing import Final

import click

from node.cli.options import Command, examples

_PROGRAM: Final = "indelible"

# Each asks the program itself how a line goes on, in the form that click answers in for that shell.
_BASH: Final = Template("""\
${define}_indelible_completion() {
    local IFS=$$'\\n' line
    COMPREPLY=()
    for line in $$(env COMP_WORDS="$${COMP_WORDS[*]}" COMP_CWORD="$$COMP_CWORD" \\
            _INDELIBLE_COMPLETE=bash_complete $command); do
        case "$$line" in
            plain,*) COMPREPLY+=("$${line#*,}") ;;
            *) compopt -o default 2>/dev/null ;;
        esac
    done
}
complete -F _indelible_completion indelible
""")
_ZSH: Final = Template("""\
${define}_indelible_completion() {
    local -a answer found
    local kind word about
    answer=("$${(@f)$$(env COMP_WORDS="$${words[*]}" COMP_CWORD=$$((CURRENT-1)) \\
        _INDELIBLE_COMPLETE=zsh_complete $command)}")
    for kind word about in $${answer}; do
        if [[ "$$kind" != plain ]]; then
            _files
        elif [[ "$$about" == _ ]]; then
            found+=("$$word")
        else
            found+=("$$word:$$about")
        fi
    done
    _describe indelible found
}
compdef _indelible_completion indelible
""")
_FISH: Final = Template("""\
${define}function _indelible_completion
    for line in (env _INDELIBLE_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) \\
            COMP_CWORD=(commandline -t) $command)
        set -l parts (string split -m 1 "," -- $$line)
        switch $$parts[1]
            case plain
                echo $$parts[2]
            case '*'
                __fish_complete_path $$parts[2]
        end
    end
end
complete --no-files --command indelible --arguments "(_indelible_completion)"
""")
_SCRIPTS: Final = {
    "bash": (_BASH, 'indelible() {{ {0} "$@"; }}\n'),
    "zsh": (_ZSH, 'indelible() {{ {0} "$@" }}\n'),
    "fish": (_FISH, "function indelible; {0} $argv; end\n"),
}
"""By shell: the script, and what defines the command where it is not installed."""


@click.command(
    cls=Command,
    epilog=examples(
        "completion bash >> ~/.bashrc",
        "completion zsh >> ~/.zshrc        behind compinit",
        "completion fish > ~/.config/fish/conf.d/indelible.fish",
    ),
)
@click.argument("shell", type=click.Choice(sorted(_SCRIPTS)))
def completion(shell: str) -> None:
    """Print a script for your shell: it makes `indelible` a command and completes its words."""
    installed = shutil.which(_PROGRAM) is not None
    script = str(Path(sys.argv[0]).resolve())
    command = _PROGRAM if installed else shlex.join([sys.executable, script])
    template, definition = _SCRIPTS[shell]
    define = "" if installed else definition.format(command)
    click.echo(template.substitute(define=define, command=command), nl=False)
