/** The requests of a device from their chains to their answers: each is carried out once, over any number of processes. */
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { gpuChannel, publish } from '../diagnostics.ts';
import { statusName } from '../protocol/status-name.ts';
import {
  CONTROL_QUEUE,
  VIRTIO_GPU_CMD_RESOURCE_FLUSH,
  VIRTIO_GPU_MAX_RINGS,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { KnownAnswer } from '../survival/answers.ts';
import type { Survival } from '../survival/survival.ts';
import { putMapInfo } from './blob-commands.ts';
import { COMMANDS } from './commands.ts';
import { handleCursor } from './cursor-commands.ts';
import { type Gpu, PENDING } from './gpu.ts';
import type { Request } from './request.ts';
import type { Requests } from './requests.ts';
import { dropResource } from './resource-commands.ts';

/** Errors begin here. */
const FIRST_ERROR = VIRTIO_GPU_RESP_ERR_UNSPEC;

/** Carries out what the driver asks for. */
export class Execution {
  /** Since the device was made; errors: commands answered with one. */
  commands = 0;
  errors = 0;
  flushes = 0;
  readonly #gpu: Gpu;
  readonly #requests: Requests;
  readonly #survival: Survival;

  constructor(gpu: Gpu, requests: Requests, survival: Survival) {
    this.#gpu = gpu;
    this.#requests = requests;
    this.#survival = survival;
  }

  /** Handles one chain. @param again - a process before had it, too */
  take(index: number, chain: Chain, again = chain.again): void {
    if (!again) this.#survival.settle(index);
    const length = this.#gpu.buffer.load(chain);
    const request = this.#requests.open(chain, this.#gpu.buffer.view, Math.max(length, 0), again);
    const { serial } = request;
    this.commands++;
    const known = again ? this.#survival.answerOf(request) : null;
    if (known !== null) {
      this.#answerAgain(request, known);
      return;
    }
    const status = length === chain.readBytes ? this.#handle(index, request) : VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    if (gpuChannel.hasSubscribers) {
      const { type, ctxId, fenced } = request;
      publish({ type: 'command', command: commandName(type), ctxId, fenced, status });
    }
    if (request.serial !== serial) return;
    if (status === PENDING) this.#survival.pending(request);
    if (request.fenced) this.#requests.line(request);
    if (status !== PENDING) this.finish(request, serial, status);
  }

  /** Requests that a process before kept when it handed over. */
  takeKept(index: number, queue: DeviceQueue): void {
    this.#requests.beginTurn(queue);
    for (const head of this.#survival.keptBy(index)) {
      const chain = queue.takeBack(head);
      if (chain !== null) this.take(index, chain, true);
    }
    this.#requests.endTurn(queue);
  }

  /** As `Gpu.finish`. */
  finish(request: Request, serial: number, status: number): void {
    if (request.serial !== serial) return;
    if (request.replyType !== 0) return;
    request.replyType = status;
    if (request.type === VIRTIO_GPU_CMD_RESOURCE_FLUSH && status < FIRST_ERROR) this.flushes++;
    if (status >= FIRST_ERROR) {
      this.errors++;
      this.#gpu.complaints.say(
        `${commandName(request.type)} of context ${request.ctxId} is refused: ${statusName(status)}`,
      );
      request.reply = null;
      request.replyLength = 0;
    }
    if (gpuChannel.hasSubscribers) publish({ type: 'finished', command: commandName(request.type), status });
    this.#survival.finished(request, status);
    this.#settle(request, serial, status);
  }

  /** As `Gpu.contextGone`. */
  contextGone(ctxId: number): void {
    for (const request of this.#requests.waiting((r) => r.inContext && r.ctxId === ctxId && !r.over)) {
      if (request.replyType === 0) request.replyType = VIRTIO_GPU_RESP_OK_NODATA;
      this.#requests.over(request);
    }
  }

  /** Answers when the fence is reached. */
  #settle(request: Request, serial: number, status: number): void {
    const context = request.fenced && status < FIRST_ERROR ? this.#gpu.contexts.get(request.ctxId) : null;
    if (context === null) {
      this.#requests.over(request);
      return;
    }
    request.inContext = true;
    context.fence(request.ring, () => {
      if (request.serial === serial && !request.over) this.#requests.over(request);
    });
  }

  /** A process before had carried the request out. */
  #answerAgain(request: Request, { status, mapInfo }: KnownAnswer): void {
    request.replyType = status;
    if (status === VIRTIO_GPU_RESP_OK_MAP_INFO) putMapInfo(request, mapInfo);
    if (request.fenced) this.#requests.line(request);
    this.#settle(request, request.serial, status);
  }

  /** @returns the type of the reply, or PENDING */
  #handle(index: number, request: Request): number {
    const { view } = this.#gpu.buffer;
    if (index !== CONTROL_QUEUE) return this.#handleCursor(request, view);
    const dropped = this.#survival.takeDropped(request);
    if (dropped !== undefined) return dropResource(this.#gpu, request, dropped);
    const command = COMMANDS.get(request.type);
    if (command === undefined || request.length < command.length) return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (request.fenced && request.ring >= VIRTIO_GPU_MAX_RINGS) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    return command.handle(this.#gpu, request, view);
  }

  #handleCursor(request: Request, view: DataView): number {
    const status = handleCursor(this.#gpu, request, view);
    if (status === VIRTIO_GPU_RESP_OK_NODATA) this.#survival.cursorChanged(request, view);
    return status;
  }
}

function commandName(type: number): string {
  return COMMANDS.get(type)?.name ?? `0x${type.toString(16)}`;
}
