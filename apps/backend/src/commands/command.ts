/** What the program's entry knows of a device: each has a command of its own. */
import type { OptionTable } from '../cli/option.ts';
import type { LogSettings } from '../logging.ts';
import type { SandboxPlan } from '../sandbox/sandbox-plan.ts';
import type { WorkerPlan } from '../worker-plan.ts';

/** A device that is to be served. */
export interface DevicePlan {
  readonly worker: WorkerPlan;
  /** Where `oriel ctl` is answered. */
  readonly controlSocket: string | undefined;
  /** What the person at the command line should know. */
  readonly warnings: readonly string[];
  /** What its process gives up; left out: nothing. */
  readonly sandbox?: SandboxPlan | null;
}

/** What a device takes of what the process has, at its fullest. */
export interface DeviceNeeds {
  /** Live mappings; `atLeast`: whatever others leave, but so many. */
  readonly mappings: number | { readonly atLeast: number };
  /** Open files; 'rest': whatever others leave. */
  readonly descriptors: number | 'rest';
}

/** For `--print-capabilities`: device type and feature words (QEMU, docs/interop/vhost-user.json). */
export interface Capabilities {
  readonly type: string;
  readonly features: readonly string[];
}

/** The command of one device. */
export interface DeviceCommand {
  readonly summary: string;
  readonly options: OptionTable;
  /** What the device that the arguments speak of can do; arguments that mean nothing are as none. */
  capabilities(args: readonly string[]): Capabilities;
  /** For the split between several devices. @throws CliError for a bad argument */
  needs(args: readonly string[]): DeviceNeeds;
  /** From arguments to a plan; nothing is opened yet. @throws CliError in one line that says what to change */
  plan(args: readonly string[], log: Pick<LogSettings, 'name'>): DevicePlan;
}
