import { Argument, type Command } from 'commander';

import type { Act } from '../shell.js';

/** `millrace completion bash|zsh|fish`: a script made of the commands that this program has. */
export function completionCommand(program: Command, act: Act): void {
  program
    .command('completion')
    .description('print the completion script of a shell, such as: source <(millrace completion bash)')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .action((name: keyof typeof SCRIPTS) => act(async (shell) => shell.print(SCRIPTS[name](program))));
}

const namesOf = (command: Command): readonly string[] => command.commands.map((one) => one.name());
const flagsOf = (command: Command): readonly string[] => command.options.flatMap(({ long }) => long ?? []);

/** The words that may follow: a noun, then its verb, then flags; flags of the program may stand before the noun. */
function bash(program: Command): string {
  const cases = program.commands.flatMap((noun) => [
    [noun.name(), [...namesOf(noun), ...flagsOf(noun)]] as const,
    ...noun.commands.map((verb) => [`${noun.name()} ${verb.name()}`, flagsOf(verb)] as const),
  ]);
  const withValue = program.options.filter(({ required }) => required).flatMap(({ long }) => long ?? []);
  return `_millrace() {
  local word found="" skip="" list
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$word" in
      ${withValue.join('|')}) skip=1 ;;
      -*) ;;
      *) found="\${found:+$found }$word" ;;
    esac
  done
  case "$found" in
    "") list="${[...namesOf(program), ...flagsOf(program)].join(' ')}" ;;
${cases.map(([words, next]) => `    "${words}"${words.includes(' ') ? `|"${words} "*` : ''}) list="${next.join(' ')}" ;;`).join('\n')}
    *) list="" ;;
  esac
  COMPREPLY=($(compgen -W "$list" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _millrace millrace`;
}

const zsh = (program: Command): string => `autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
${bash(program)}`;

function fish(program: Command): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const nouns = program.commands.map(
    (noun) => `complete -c millrace -n __fish_use_subcommand -a ${noun.name()} -d ${quoted(noun.description())}`,
  );
  const verbs = program.commands.flatMap((noun) => {
    const seen = `__fish_seen_subcommand_from ${noun.name()}`;
    const none = `${seen}; and not __fish_seen_subcommand_from ${namesOf(noun).join(' ')}`;
    return noun.commands.flatMap((verb) => [
      `complete -c millrace -n ${quoted(none)} -a ${verb.name()} -d ${quoted(verb.description())}`,
      ...flagsOf(verb).map(
        (flag) =>
          `complete -c millrace -n ${quoted(`${seen}; and __fish_seen_subcommand_from ${verb.name()}`)} -l ${flag.slice(2)}`,
      ),
    ]);
  });
  return [...nouns, ...verbs].join('\n');
}

const SCRIPTS = { bash, zsh, fish };
