/** A device's thread as the main thread sees it. */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { check, type Logger, type Sys } from '@oriel/sys';
import type { LauncherTerms } from '@oriel/virtio-device';
import { type ControlAnswer, ControlError, type ControlRequest, type Frame } from './device-module.ts';
import { openLog } from './logging.ts';
import { moduleUrl } from './module-url.ts';
import type { CellPlan } from './sandbox/device-cell.ts';
import { SocketFile } from './socket-file.ts';
import type { ThreadMessage, WorkerData, WorkerMessage, WorkerPlan } from './worker-plan.ts';

/** What one write to an eventfd adds (eventfd(2): eight bytes in host order). */
const ONE = new BigUint64Array([1n]);
/** A device's loop answers in microseconds; one that waits for a dead disk does not. */
const ANSWER_MS = 5000;

interface Waiting {
  readonly resolve: (answer: ControlAnswer) => void;
  readonly reject: (error: ControlError) => void;
  readonly timer: NodeJS.Timeout;
}

/** What the main thread does when a device's thread says something. */
export interface ThreadEvents {
  /** It serves. */
  readonly ready: () => void;
  /** Takes a picture; the thread gives the next one of that scanout when it is kept. Never rejects. */
  readonly frame: (frame: Frame) => Promise<void>;
  /** The device has ended, well or not; its thread soon will. */
  readonly over: () => void;
}

/** Starts with its construction. */
export class DeviceThread {
  readonly plan: WorkerPlan;
  /** Resolves when the thread is gone: true when it stopped as asked or its only front-end left. */
  readonly ended: Promise<boolean>;
  readonly log: Logger;
  readonly #worker: Worker;
  readonly #wakeFd: number;
  readonly #events: ThreadEvents;
  readonly #waiting = new Map<number, Waiting>();
  #socketFile: SocketFile | undefined;
  #requests = 0;
  #handOver: ((refusal: string | null) => void) | null = null;
  #over = false;
  #good = false;

  /**
   * @param launcher - who holds what of this device is to outlive the process; its descriptors are given away
   * @param cell - it serves once the gate is released
   * @throws SysError EMFILE, ENFILE
   */
  constructor(
    plan: WorkerPlan,
    sys: Pick<Sys, 'loop'>,
    events: ThreadEvents,
    launcher: LauncherTerms | null,
    cell: CellPlan | null,
  ) {
    this.plan = plan;
    this.log = openLog(plan.log);
    this.#events = events;
    // Never closed: this thread may write to it until the process ends, when a number must not be another file's.
    this.#wakeFd = check(sys.loop.eventfd(0), 'eventfd');
    const workerData: WorkerData = { plan, wakeFd: this.#wakeFd, launcher, cell };
    this.#worker = new Worker(moduleUrl('worker'), { name: this.name, workerData });
    this.#worker.on('message', (message: WorkerMessage) => this.#take(message));
    this.#worker.on('error', (error) => this.log.error(`bug: ${error instanceof Error ? error.stack : String(error)}`));
    this.ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#end();
        resolve(this.#good);
      });
    });
  }

  /** As the command line has it. */
  get name(): string {
    return this.plan.log.name;
  }

  /** True when the device has ended. */
  get over(): boolean {
    return this.#over;
  }

  /** Asks the device to stop; harmless again and again, and before it serves. */
  stop(): void {
    this.#send({ kind: 'stop' });
  }

  /** Leaves the front-end to the next process. @returns null, or why the device keeps it */
  handOver(): Promise<string | null> {
    return new Promise((resolve) => {
      if (this.#over) {
        resolve(`${this.name} has ended`);
        return;
      }
      this.#handOver = resolve;
      this.#send({ kind: 'hand-over' });
    });
  }

  /** Has a request carried out. @throws ControlError when it is refused, or the device is gone or does not answer */
  request(request: ControlRequest): Promise<ControlAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        reject(new ControlError(`${this.name} has ended`));
        return;
      }
      const id = this.#requests++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ControlError(`${this.name} did not answer within ${ANSWER_MS / 1000} s`));
      }, ANSWER_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#send({ kind: 'request', id, request });
    });
  }

  /** For an end by force: the thread, which owns its socket file, does not get to remove it then. */
  removeSocketFile(): void {
    this.#socketFile?.remove();
  }

  #send(message: ThreadMessage): void {
    this.#worker.postMessage(message);
    writeSync(this.#wakeFd, ONE);
  }

  #take(message: WorkerMessage): void {
    switch (message.kind) {
      case 'ready':
        this.#socketFile = this.plan.socketPath === undefined ? undefined : new SocketFile(this.plan.socketPath);
        this.#events.ready();
        break;
      case 'answer':
        this.#settled(message.id)?.resolve(message.answer);
        break;
      case 'refused':
        this.#settled(message.id)?.reject(new ControlError(message.message));
        break;
      case 'frame':
        void this.#events.frame(message.frame).then(() => this.#send({ kind: 'shown', id: message.id }));
        break;
      case 'handed-over':
        this.#handOver?.(null);
        break;
      case 'kept':
        this.#handOver?.(message.message);
        break;
      case 'ended':
        this.#good = true;
        this.#end();
        break;
      case 'failed':
        this.log.error(message.message);
        this.#end();
        break;
    }
  }

  #settled(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  #end(): void {
    if (this.#over) {
      return;
    }
    this.#over = true;
    this.#handOver?.(`${this.name} has ended`);
    for (const id of [...this.#waiting.keys()]) {
      this.#settled(id)?.reject(new ControlError(`${this.name} has ended`));
    }
    this.#events.over();
  }
}
