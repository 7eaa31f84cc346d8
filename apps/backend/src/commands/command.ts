/** What the program's entry knows of a command: each device is one. */
import type { OptionTable } from '../cli/option.ts';
import type { LogSettings } from '../logging.ts';
import type { WorkerPlan } from '../worker-plan.ts';

/** What a command is to do. */
export interface CommandPlan {
  readonly worker: WorkerPlan;
  /** What the person at the command line should know. */
  readonly warnings: readonly string[];
}

/** A subcommand. */
export interface Command {
  readonly summary: string;
  readonly options: OptionTable;
  /** For `--print-capabilities`: device type and feature words (QEMU, docs/interop/vhost-user.json). */
  readonly capabilities: { readonly type: string; readonly features: readonly string[] };
  /** From arguments to a plan; nothing is opened yet. @throws CliError in one line that says what to change */
  plan(args: readonly string[], log: Pick<LogSettings, 'name'>): CommandPlan;
}
