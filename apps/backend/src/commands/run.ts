/** `oriel run`: several devices of one VM in one process. */
import { profiles } from '@oriel/vhost-user';
import { CliError } from '../cli/cli-error.ts';
import { processOptions } from '../cli/common-options.ts';
import type { DeviceSpec } from '../cli/key-values.ts';
import { parseOptions } from '../cli/parse-options.ts';
import { runOptions } from '../cli/run-options.ts';
import { plannedDescriptors } from '../descriptor-limit.ts';
import type { LogSettings } from '../logging.ts';
import type { RunPlan } from '../run-devices.ts';
import type { SandboxPlan } from '../sandbox/sandbox-plan.ts';
import type { WorkerPlan } from '../worker-plan.ts';
import type { DeviceCommand, DevicePlan } from './command.ts';
import { controlPath, logFormat } from './common.ts';
import { deviceCommand, devices } from './device-commands.ts';
import { type Sharer, splitDescriptors, splitMappings } from './split.ts';

/** Names the device in logs and for `oriel ctl`; no device has an option of that name. */
const ID = 'id';
const SANDBOX = 'sandbox';
/** A device may decide these for itself. */
const OWN = new Set(['max-mappings', 'spin-us', 'log-level']);
/** Divided between the devices, not passed on. */
const SHARED = new Set(['device', 'max-mappings', 'rlimit-nofile', 'control-socket']);

/** What `oriel run` asks for. */
export interface RunCommandPlan extends RunPlan {
  readonly log: LogSettings;
  readonly warnings: readonly string[];
  /** Null: none. */
  readonly sandbox: SandboxPlan | null;
}

interface Named {
  readonly name: string;
  readonly command: DeviceCommand;
  readonly args: readonly string[];
}

/** A part of a spec as an argument of the device's own command. */
function argument(command: DeviceCommand, { type }: DeviceSpec, key: string, value: string | null): string[] {
  if (Object.hasOwn(processOptions, key) && !OWN.has(key)) {
    throw new CliError(`--device ${type}: ${key} goes for all devices: give --${key} beside --device`);
  }
  const option = Object.hasOwn(command.options, key) ? command.options[key]! : null;
  if (option === null) {
    const known = Object.keys(command.options).filter((name) => !Object.hasOwn(processOptions, name) || OWN.has(name));
    throw new CliError(`--device ${type}: unknown ${key}: known are ${[ID, ...known].join(' ')}`);
  }
  if (option.placeholder === null) {
    if (value !== null && value !== 'on' && value !== 'off') {
      throw new CliError(`--device ${type}: ${key}=${value}: give ${key}=on or ${key}=off`);
    }
    return value === 'off' ? [] : [`--${key}`];
  }
  if (value === null) {
    throw new CliError(`--device ${type}: ${key} wants a value: ${key}=${option.placeholder}`);
  }
  return [`--${key}=${value}`];
}

/** Errors of a device's own command name the device. */
function inDevice<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof CliError ? new CliError(`--device ${name}: ${error.message}`) : error;
  }
}

/** `fs`, `gpu`, `fs2`: the type, with a number where it comes again. */
function nameOf(spec: DeviceSpec, taken: ReadonlySet<string>): string {
  const id = spec.entries.get(ID);
  if (id !== undefined) {
    if (id === null || !/^[\w.-]{1,32}$/.test(id) || taken.has(id)) {
      throw new CliError(
        `--device ${spec.type}: id: give a short name that no other device has, of letters and digits`,
      );
    }
    return id;
  }
  let name = spec.type;
  for (let count = 2; taken.has(name); count++) {
    name = `${spec.type}${count}`;
  }
  return name;
}

/** A sandbox is a process's: a device among others has none, unless it asks, and then it is told so. */
function open(command: DeviceCommand, spec: DeviceSpec): readonly string[] {
  return Object.hasOwn(command.options, SANDBOX) && !spec.entries.has(SANDBOX) ? [`--${SANDBOX}=none`] : [];
}

function nameDevices(specs: readonly DeviceSpec[], shared: readonly string[]): Named[] {
  const taken = new Set<string>();
  return specs.map((spec) => {
    const command = deviceCommand(spec.type);
    if (command === null) {
      throw new CliError(`--device ${spec.type}: unknown: give one of ${Object.keys(devices).join(', ')}`);
    }
    const name = nameOf(spec, taken);
    taken.add(name);
    const own = [...spec.entries].filter(([key]) => key !== ID);
    const ownArgs = own.flatMap(([key, value]) => argument(command, spec, key, value));
    const inherited = shared.filter((arg) => !spec.entries.has(arg.slice(2).split('=', 1)[0]!));
    return { name, command, args: [...open(command, spec), ...inherited, ...ownArgs] };
  });
}

/** Two devices must not take each other's files. */
function checkPaths(workers: readonly WorkerPlan[], controlSocket: string | undefined): void {
  const sockets = [...workers.map(({ socketPath }) => socketPath), controlSocket];
  const fds = workers.map(({ fd }) => fd);
  const folders = workers.map(({ screenshotDir }) => screenshotDir);
  for (const all of [sockets, fds, folders] as const) {
    const given: readonly (string | number)[] = all.filter((one) => one !== undefined);
    const twice = given.find((one, index) => given.indexOf(one) !== index);
    if (twice !== undefined) {
      throw new CliError(`${twice} is given to two devices or sockets: give each its own`);
    }
  }
}

/** From arguments to a plan; nothing is opened yet. @throws CliError in one line that says what to change */
export function planRun(args: readonly string[]): RunCommandPlan {
  const { values, given } = parseOptions(runOptions, args);
  if (values.device.length === 0) {
    throw new CliError('no device: give --device fs,socket-path=S,shared-dir=D,tag=T or --device gpu,socket-path=S');
  }
  const shared = [...given]
    .filter(([key]) => !SHARED.has(key))
    .map(([key, text]) => (text === '' ? `--${key}` : `--${key}=${text}`));
  const named = nameDevices(values.device, shared);
  const sharers: Sharer[] = named.map(({ name, command, args: own }) => ({
    name,
    needs: inDevice(name, () => command.needs(own)),
  }));
  const mappings = splitMappings(sharers, profiles[values.frontend], values['max-mappings']);
  const descriptors = splitDescriptors(sharers, plannedDescriptors(values['rlimit-nofile']));
  const plans = named.map(({ name, command, args: own }, index): DevicePlan => {
    const mine = own.filter((arg) => !arg.startsWith('--max-mappings='));
    const share = mappings[index]! > 0 ? [`--max-mappings=${mappings[index]}`] : [];
    const budget = [...share, `--rlimit-nofile=${descriptors[index]}`];
    return inDevice(name, () => command.plan([...mine, ...budget], { name }));
  });
  const shutIn = plans.findIndex(({ sandbox }) => sandbox !== undefined && sandbox !== null);
  if (shutIn >= 0) {
    throw new CliError(
      `--device ${named[shutIn]!.name}: a sandbox is a process's, and this one has other devices: give it to oriel fs`,
    );
  }
  const workers = plans.map(({ worker }) => worker);
  const controlSocket = controlPath(values);
  checkPaths(workers, controlSocket);
  return {
    workers,
    controlSocket,
    log: { name: 'oriel', level: values['log-level'], format: logFormat(values) },
    sandbox: null,
    warnings: plans.flatMap(({ warnings }, index) => warnings.map((warning) => `${named[index]!.name}: ${warning}`)),
  };
}

/** For the help. */
export const runSummary = 'several devices of one VM in one process';
