"""Completion scripts: each hands the words to ``pyctl __complete`` and shows what comes back."""

from __future__ import annotations

# The words come from the line itself, because bash splits at "=" and ":"; what is typed of the current bash word is then
# taken off the candidates again.
_BASH = r"""# bash completion for pyctl
_pyctl() {
    local line="${COMP_LINE:0:COMP_POINT}" cur="${COMP_WORDS[COMP_CWORD]}" name text full skip
    local -a words
    read -ra words <<<"$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    full="${words[-1]}"
    [[ "$cur" == "=" || "$cur" == ":" ]] && cur=""
    skip="${full%"$cur"}"
    COMPREPLY=()
    while IFS=$'\t' read -r name text; do
        if [[ "$name" == ":files" ]]; then
            while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen -f -- "$cur")
            compopt -o filenames 2>/dev/null
        else
            COMPREPLY+=("${name#"$skip"}")
        fi
    done < <(pyctl __complete -- "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _pyctl pyctl
"""

_ZSH = r"""#compdef pyctl
# zsh completion for pyctl
_pyctl() {
    local -a found
    local line name text files=0
    while IFS= read -r line; do
        if [[ "$line" == ":files" ]]; then
            files=1
            continue
        fi
        name="${line%%$'\t'*}"
        text="${line#"$name"}"
        text="${text#$'\t'}"
        found+=("${name//:/\\:}${text:+:$text}")
    done < <(pyctl __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#found} )) && _describe 'pyctl' found
    (( files )) && _files
    return 0
}
if [[ "$funcstack[1]" == "_pyctl" ]]; then
    _pyctl "$@"
else
    compdef _pyctl pyctl
fi
"""

_FISH = r"""# fish completion for pyctl
function __pyctl_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (pyctl __complete -- $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c pyctl -e
complete -c pyctl -f -a '(__pyctl_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
