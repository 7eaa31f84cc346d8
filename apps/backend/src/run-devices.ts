/** The main thread: starts a thread for each device, passes stop requests on, keeps pictures, reports the end. */
import { type Logger, openSys } from '@oriel/sys';
import { ControlServer } from './control/control-server.ts';
import { answerer } from './control/requests.ts';
import { ControlError, type Frame } from './device-module.ts';
import { DeviceThread } from './device-thread.ts';
import { explain } from './explain.ts';
import { handOverAll } from './hand-over.ts';
import { HANDED_OVER } from './launcher/restart-policy.ts';
import { openLauncher } from './launcher-terms.ts';
import { Gate } from './sandbox/device-cell.ts';
import type { Door } from './sandbox/door.ts';
import { Pictures } from './screenshots/pictures.ts';
import { StopSignals } from './signals.ts';
import type { WorkerPlan } from './worker-plan.ts';

const FAILURE = 1;
/** A cleaner takes milliseconds; an end by force waits for nobody long. */
const CLEANING_MS = 3000;
const FORCED_CLEANING_MS = 300;

/** Devices that one process serves. */
export interface RunPlan {
  /** One or more, with names of their own. */
  readonly workers: readonly WorkerPlan[];
  /** Where `oriel ctl` is answered; undefined: nowhere. */
  readonly controlSocket: string | undefined;
}

/**
 * Ends the process although a thread may sit in a system call: then `process.exit` would wait for that thread for ever,
 * while the kernel waits for nobody.
 */
function killProcess(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Behind a closed door. */
function removeSockets(door: Door | null, limitMs: number, log: Logger): void {
  const failed = door?.removeSockets(limitMs) ?? null;
  if (failed !== null) {
    log.warn(`socket files may stay: ${failed}`);
  }
}

/** SIGUSR2: what `oriel ctl stats` says, in the log. */
function logCounters(threads: readonly DeviceThread[]): void {
  for (const thread of threads) {
    thread.request({ command: 'stats' }).then(
      (answer) => thread.log.info('counters', { ...(answer.kind === 'entries' ? answer.entries[0] : {}) }),
      (error) => thread.log.warn(`no counters: ${explain(error)}`),
    );
  }
}

/** A picture that cannot be kept costs nothing but itself. */
function keeper(plan: WorkerPlan, pictures: Pictures, log: Logger): (frame: Frame) => Promise<void> {
  return async (frame) => {
    try {
      await pictures.keep(plan.screenshotDir!, frame);
    } catch (error) {
      log.warn(explain(error));
    }
  };
}

/**
 * Runs devices until all have ended or a signal asks for it; when one fails the others stop, too. SIGUSR2 logs counters.
 * @param door - closed when all devices have what they need, before any serves; null: there is no sandbox
 * @returns the exit status: 0 when all stopped as asked or their only front-ends left, 75 behind a hand-over, else 1
 */
export async function runDevices(
  { workers, controlSocket }: RunPlan,
  log: Logger,
  door: Door | null = null,
): Promise<number> {
  const sys = openSys();
  using launcher = openLauncher(
    sys,
    workers.map((plan) => plan.log.name),
    log,
  );
  // Modes that a guest asks for are its own business; files of ours are created with a mode of their own.
  process.umask(0);
  const threads: DeviceThread[] = [];
  const pictures = new Pictures();
  let control: ControlServer | undefined;
  using signals = new StopSignals({
    ask(reason) {
      log.info(`stopping: ${reason}`);
      control?.close();
      for (const thread of threads) {
        thread.stop();
      }
    },
    force(reason) {
      log.error(`killed: ${reason}`);
      try {
        control?.close();
        for (const thread of threads) {
          thread.removeSocketFile();
        }
        removeSockets(door, FORCED_CLEANING_MS, log);
      } finally {
        killProcess();
      }
    },
  });
  const onFault = (error: unknown): void => {
    log.error(`bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    signals.ask('an error in the main thread');
  };
  const onCounters = (): void => logCounters(threads);
  process.on('uncaughtException', onFault);
  process.on('SIGUSR2', onCounters);
  const over = (): void => {
    if (threads.every((thread) => thread.over)) {
      signals.answered();
    }
  };
  let status = 0;
  const handOver = async (): Promise<readonly string[]> => {
    if (launcher === null) {
      throw new ControlError('nobody starts the next process: run with --restart=on-failure, or under systemd');
    }
    const refusals = await handOverAll(threads);
    log.info('handed over', { refusals: refusals.join('; ') });
    status = HANDED_OVER;
    for (const thread of threads) {
      thread.stop();
    }
    return refusals;
  };
  try {
    if (controlSocket !== undefined) {
      control = ControlServer.listen(controlSocket, { sys, log, answer: answerer(threads, pictures, handOver) });
    }
    const gate = new Gate();
    const cell = door === null ? null : door.cell(gate);
    let awaited = workers.length;
    const ready = (): void => {
      awaited--;
      if (awaited > 0) {
        return;
      }
      try {
        door?.close();
      } catch (error) {
        log.error(explain(error));
        gate.release(false);
        return;
      }
      gate.release(true);
      if (door === null && workers.some(({ type }) => type === 'fs')) {
        log.info('sandbox: none: this process reaches what its user does; --sandbox=namespace shuts it in');
      }
      launcher?.tell('READY=1');
    };
    for (const plan of workers) {
      const events = { ready, frame: keeper(plan, pictures, log), over };
      threads.push(new DeviceThread(plan, sys, events, launcher?.termsOf(plan.log.name) ?? null, cell));
    }
  } catch (error) {
    log.error(explain(error));
    status = FAILURE;
    for (const thread of threads) {
      thread.stop();
    }
  }
  const ends = threads.map(async (thread) => {
    const good = await thread.ended;
    if (!good) {
      status = FAILURE;
      if (threads.some((other) => !other.over)) {
        signals.ask(`${thread.name} failed`);
      }
    }
  });
  await Promise.all(ends);
  await control?.answered();
  control?.close();
  await pictures.close();
  if (status !== HANDED_OVER) {
    removeSockets(door, CLEANING_MS, log);
  }
  process.off('SIGUSR2', onCounters);
  process.off('uncaughtException', onFault);
  return status;
}
