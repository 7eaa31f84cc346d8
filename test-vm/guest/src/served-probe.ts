/** A probe that lives in the guest between commands (probes/serve.h): one line in, an answer out. */
import type { Guest } from '../boot.ts';
import { GuestError, tail } from './errors.ts';

/** Talks to one such probe. It ends with the guest, or by {@link quit}. */
export class ServedProbe {
  readonly #guest: Guest;
  readonly #name: string;

  private constructor(guest: Guest, name: string) {
    this.#guest = guest;
    this.#name = name;
  }

  /**
   * Starts `PROGRAM /tmp/NAME args` and returns once it takes commands.
   * @param name - another one for each that runs at the same time; default: the program's
   * @throws GuestError ERR_GUEST_COMMAND with its words
   */
  static async start(
    guest: Guest,
    program: string,
    args: readonly (string | number)[] = [],
    name = program,
  ): Promise<ServedProbe> {
    const path = `/tmp/${name}`;
    await guest.ok([program, path, ...args].join(' '));
    return new ServedProbe(guest, path);
  }

  /**
   * Runs one command of the probe.
   * @returns its lines
   * @throws GuestError ERR_GUEST_COMMAND when the probe says that it failed, or is gone
   */
  async ask(command: string, timeoutMs = 60_000): Promise<string[]> {
    // Opened before the command is sent: the probe may be gone right after its answer, and so would be what nobody reads.
    const script = `exec 5<${this.#name}.out
printf '%s\\n' '${command}' >${this.#name}.in
while IFS= read -r line <&5; do
  case "$line" in .) exit 0;; '!'*) echo "$line"; exit 1;; *) echo "$line";; esac
done
exit 3`;
    const { code, output } = await this.#guest.run(script, { timeoutMs });
    const lines = output === '' ? [] : output.split('\n');
    if (code === 0) return lines;
    throw new GuestError('ERR_GUEST_COMMAND', `${this.#name} (${code}): ${command.slice(0, 200)}\n${tail(output)}`);
  }

  /** Ends the probe: what it holds is given back by the kernel. */
  async quit(): Promise<void> {
    await this.ask('quit');
  }
}
