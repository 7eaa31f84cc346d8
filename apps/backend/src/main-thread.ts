/** The main thread as a device's thread sees it: messages come by a port that is read when an eventfd says so, for the
 * blocking loop never runs what Node would do for a port. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { EPOLLIN, type EventLoop, type Logger, type Sys, type Watch } from '@oriel/sys';
import {
  type ControlAnswer,
  ControlError,
  type ControlRequest,
  type DeviceInstance,
  type Frame,
} from './device-module.ts';
import { explain } from './explain.ts';
import { BUSY, type ThreadMessage, type WorkerMessage } from './worker-plan.ts';

/** What the messages are for. */
export interface ThreadHandlers {
  readonly stop: () => void;
  /** See `DeviceServer.handOver`. */
  readonly handOver: () => boolean;
  readonly stats: () => Readonly<Record<string, number>>;
  readonly control: DeviceInstance['control'];
}

/** The other end of `DeviceThread`. */
export class MainThread {
  readonly #port: MessagePort;
  readonly #log: Logger;
  readonly #shown = new Map<number, () => void>();
  #frames = 0;

  constructor(port: MessagePort, log: Logger) {
    this.#port = port;
    this.#log = log;
  }

  tell(message: WorkerMessage, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  /** See `DeviceContext.showFrame`. */
  readonly showFrame = (frame: Frame, shown: () => void): void => {
    const id = this.#frames++;
    this.#shown.set(id, shown);
    this.tell({ kind: 'frame', id, frame }, [frame.pixels.buffer]);
  };

  /** Carries out what comes, on the loop, until it is disposed. What came before counts. */
  listen(sys: Pick<Sys, 'loop'>, loop: EventLoop, wakeFd: number, handlers: ThreadHandlers): Watch {
    return loop.watch(wakeFd, EPOLLIN, () => {
      sys.loop.eventfdDrain(wakeFd);
      for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
        this.#take(next.message as ThreadMessage, handlers);
      }
    });
  }

  #take(message: ThreadMessage, handlers: ThreadHandlers): void {
    switch (message.kind) {
      case 'stop':
        handlers.stop();
        break;
      case 'hand-over':
        this.#handOver(handlers);
        break;
      case 'request':
        this.#answer(message.id, () => carryOut(message.request, handlers));
        break;
      case 'shown':
        this.#shown.get(message.id)?.();
        this.#shown.delete(message.id);
        break;
    }
  }

  #handOver({ handOver, stop }: ThreadHandlers): void {
    try {
      if (!handOver()) {
        this.tell({ kind: 'kept', message: BUSY });
        return;
      }
      this.tell({ kind: 'handed-over' });
      stop();
    } catch (error) {
      this.tell({ kind: 'kept', message: explain(error) });
    }
  }

  /** Whatever goes wrong with a request: the guest's device goes on. */
  #answer(id: number, work: () => ControlAnswer): void {
    try {
      const answer = work();
      this.tell({ kind: 'answer', id, answer }, answer.kind === 'frame' ? [answer.frame.pixels.buffer] : []);
    } catch (error) {
      if (!(error instanceof ControlError)) {
        this.#log.error(`bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
      this.tell({ kind: 'refused', id, message: explain(error) });
    }
  }
}

function carryOut(request: ControlRequest, { stats, control }: ThreadHandlers): ControlAnswer {
  if (request.command === 'stats') {
    return { kind: 'entries', entries: [stats()] };
  }
  if (control === undefined) {
    throw new ControlError(`this device has no command '${request.command}'`);
  }
  return control(request);
}
