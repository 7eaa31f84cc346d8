/** What shows a display's pixels: a plug-in of the device. */

/** A rectangle in pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One output as the guest sees it (`struct virtio_gpu_display_one`). */
export interface Output extends Box {
  readonly enabled: boolean;
}

/** The pixels of one update, lent until its `done`. */
export interface PixelSource {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /**
   * All rows as they lie in memory, when they lie there tight (width * 4 bytes a row) and in the byte order B, G, R, X;
   * else null: then `copyRows` gathers and converts.
   */
  readonly direct: Uint8Array | null;
  /**
   * Copies rows [first, first + count) to `to`, tight, four bytes a pixel in the order B, G, R, X.
   * @returns 0, or a negative errno when the memory is gone
   */
  copyRows(first: number, count: number, to: Uint8Array, toOffset: number): number;
}

/** A framebuffer as a dma-buf. `fd` is lent for the call. */
export interface DmaBufFrame {
  readonly fd: number;
  /** Pixels and bytes of the whole buffer. */
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  /** DRM fourcc and format modifier (two u32). */
  readonly fourcc: number;
  readonly modifierLo: number;
  readonly modifierHi: number;
  /** The first row is the lowest. */
  readonly bottomUp: boolean;
}

/** Where scanouts, updates and the cursor go. Calls are synchronous, on the device's loop; none may block. */
export interface DisplaySink extends Disposable {
  readonly name: string;
  /**
   * Asks for the outputs, where the sink decides about them (QEMU's display channel); absent: the device's own list counts.
   * `done` gets null when the sink is gone. May be called at once.
   */
  queryOutputs?(done: (outputs: readonly Output[] | null) => void): void;
  /** The same for the EDID block of one scanout, 128 to 1024 bytes. */
  queryEdid?(scanout: number, done: (edid: Uint8Array | null) => void): void;
  /** A scanout has this size from now on; 0 x 0: it is off. */
  setScanout(scanout: number, width: number, height: number): void;
  /** Shows `source` at (x, y) of the scanout. `done` comes exactly once, when `source` is not needed any more. */
  update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void;
  /** `image`: 64 x 64 pixels, B8G8R8A8 premultiplied, lent for the call. */
  updateCursor(scanout: number, x: number, y: number, hotX: number, hotY: number, image: Uint8Array): void;
  moveCursor(scanout: number, x: number, y: number): void;
  hideCursor(scanout: number, x: number, y: number): void;
  /** Shows part of a dma-buf; absent or false: the device sends pixels instead. */
  setScanoutDmaBuf?(scanout: number, part: Box, frame: DmaBufFrame): boolean;
  /** The dma-buf's pixels changed. `done` comes when the sink does not read it any more. */
  updateDmaBuf?(scanout: number, part: Box, done: () => void): void;
}
