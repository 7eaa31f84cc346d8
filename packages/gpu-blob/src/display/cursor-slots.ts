/**
 * What the front-end must still be told about each cursor. Only the latest state counts, so a guest that moves its cursor
 * faster than the front-end reads fills no queue.
 */
import { CURSOR_BYTES } from '../protocol/values.ts';
import {
  GpuMsgCursorPos,
  GpuMsgCursorUpdate,
  putHeader,
  VHOST_USER_GPU_CURSOR_POS,
  VHOST_USER_GPU_CURSOR_POS_HIDE,
  VHOST_USER_GPU_CURSOR_UPDATE,
} from './channel-messages.ts';
import type { MessageWriter } from './message-writer.ts';

class Slot {
  readonly image = new Uint8Array(CURSOR_BYTES);
  imageChanged = false;
  moved = false;
  visible = false;
  x = 0;
  y = 0;
  hotX = 0;
  hotY = 0;
}

/** Cursors by scanout. */
export class CursorSlots {
  readonly #slots = new Map<number, Slot>();
  /** Scanouts with something to tell, each once. */
  readonly #changed: number[] = [];

  /** @param image - 64 x 64 pixels; copied */
  update(scanout: number, x: number, y: number, hotX: number, hotY: number, image: Uint8Array): void {
    const slot = this.#move(scanout, x, y, true);
    slot.image.set(image);
    slot.hotX = hotX;
    slot.hotY = hotY;
    slot.imageChanged = true;
  }

  move(scanout: number, x: number, y: number): void {
    this.#move(scanout, x, y, true);
  }

  hide(scanout: number, x: number, y: number): void {
    this.#move(scanout, x, y, false);
  }

  /** Composes the next message. @returns false when there is nothing to tell */
  compose(writer: MessageWriter): boolean {
    const scanout = this.#changed[0];
    if (scanout === undefined) {
      return false;
    }
    const slot = this.#slots.get(scanout)!;
    if (slot.imageChanged) {
      slot.imageChanged = false;
      // The image shows the cursor; hiding it again takes a second message.
      slot.moved = !slot.visible;
      composeImage(writer, scanout, slot);
    } else {
      slot.moved = false;
      composePosition(writer, scanout, slot);
    }
    if (!slot.moved) {
      this.#changed.shift();
    }
    return true;
  }

  #move(scanout: number, x: number, y: number, visible: boolean): Slot {
    let slot = this.#slots.get(scanout);
    if (slot === undefined) {
      slot = new Slot();
      this.#slots.set(scanout, slot);
    }
    if (!slot.moved && !slot.imageChanged) {
      this.#changed.push(scanout);
    }
    slot.moved = true;
    slot.visible = visible;
    slot.x = x;
    slot.y = y;
    return slot;
  }
}

function composeImage(writer: MessageWriter, scanout: number, slot: Slot): void {
  const { view } = writer;
  putHeader(view, 0, VHOST_USER_GPU_CURSOR_UPDATE, GpuMsgCursorUpdate.byteLength);
  GpuMsgCursorUpdate.scanoutId.set(view, 0, scanout);
  GpuMsgCursorUpdate.x.set(view, 0, slot.x);
  GpuMsgCursorUpdate.y.set(view, 0, slot.y);
  GpuMsgCursorUpdate.hotX.set(view, 0, slot.hotX);
  GpuMsgCursorUpdate.hotY.set(view, 0, slot.hotY);
  writer.bytes.set(slot.image, GpuMsgCursorUpdate.data.offset);
  writer.start(GpuMsgCursorUpdate.byteLength);
}

function composePosition(writer: MessageWriter, scanout: number, slot: Slot): void {
  const { view } = writer;
  const request = slot.visible ? VHOST_USER_GPU_CURSOR_POS : VHOST_USER_GPU_CURSOR_POS_HIDE;
  putHeader(view, 0, request, GpuMsgCursorPos.byteLength);
  GpuMsgCursorPos.scanoutId.set(view, 0, scanout);
  GpuMsgCursorPos.x.set(view, 0, slot.x);
  GpuMsgCursorPos.y.set(view, 0, slot.y);
  writer.start(GpuMsgCursorPos.byteLength);
}
