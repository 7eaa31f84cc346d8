/** Programs of two guests on one weston, headless: each guest has an `oriel` of its own. */
import { expect } from 'chai';
import {
  type Compositor,
  complaints,
  globalsIn,
  guestSuite,
  type Picture,
  SIMPLE_SHM,
  simpleShmDifference,
  startWestonOnHost,
  WAYLAND_BACKGROUND,
  WaylandMachine,
  WESTON_OUTPUT,
  waylandTree,
} from '../index.ts';

/** What no guest is offered: synchronisation by descriptors of the GPU, and interfaces that only weston's own parts use. */
const HIDDEN = ['weston_debug_v1 1', 'weston_desktop_shell 1', 'zwp_linux_explicit_synchronization_v1 2'];
const GUESTS = 2;

/** Where windows of weston-simple-shm lie, by their corners: weston puts them anywhere, but the first two apart, and always at the same places. */
function windowsIn({ pixels, width, height }: Picture): { readonly left: number; readonly top: number }[] {
  const isCorner = (x: number, y: number): boolean =>
    pixels[y * width + x] === 0xffffff &&
    (x === 0 || pixels[y * width + x - 1] !== 0xffffff) &&
    (y === 0 || pixels[(y - 1) * width + x] !== 0xffffff);
  const found = [];
  for (let y = 0; y + SIMPLE_SHM.height <= height; y++) {
    for (let x = 0; x + SIMPLE_SHM.width <= width; x++) if (isCorner(x, y)) found.push({ left: x, top: y });
  }
  return found;
}

/** Says what is wrong unless so many whole windows are seen. */
const shows = (count: number) => (picture: Picture) => {
  const wrong = windowsIn(picture).map((place) => simpleShmDifference(picture, place));
  const right = wrong.filter((why) => why === undefined).length;
  return right === count ? undefined : `${right} windows: ${wrong.join('; ')}`;
};

describe('Wayland programs of two guests on one weston', () => {
  const suite = guestSuite('wl-weston');
  let weston: Compositor;
  let root = '';
  let dir = '';
  const machines: WaylandMachine[] = [];

  before(async function () {
    this.timeout(300_000);
    root = await waylandTree();
    dir = suite.folder('weston');
    weston = await startWestonOnHost({ root, dir });
    const { environment } = suite;
    for (let n = 0; n < GUESTS; n++) {
      const options = { environment, root, dir: suite.folder(`vm${n}`), compositor: weston.socketPath };
      machines.push(await WaylandMachine.open({ ...options, boot: { smp: 1 } }));
    }
  });
  after(async () => {
    for (const machine of machines) await machine[Symbol.asyncDispose]();
    await weston?.[Symbol.asyncDispose]();
  });

  const background = () =>
    weston.until(({ pixels }) => (pixels.every((pixel) => pixel === WAYLAND_BACKGROUND) ? undefined : 'windows'));

  it('are told of what weston has, less what cannot pass', async () => {
    const here = globalsIn(await weston.run('wayland-info'));
    const there = globalsIn(await machines[0]!.run('wayland-info'));
    expect(
      there.filter((one) => !here.includes(one)),
      'invented',
    ).to.deep.equal([]);
    expect(here.filter((one) => !there.includes(one))).to.have.members(HIDDEN);
  });

  it('show a window of each guest, pixel by pixel', async () => {
    expect(await background()).to.equal(undefined);
    const clients = [];
    for (const machine of machines) clients.push(await machine.start('weston-simple-shm'));
    const all = (picture: Picture) => (windowsIn(picture).length === GUESTS ? undefined : 'a window is missing');
    expect(await weston.until(all)).to.equal(undefined);
    for (const client of clients) await client.signal('STOP');
    const picture = await weston.screenshot();
    expect(picture).to.include(WESTON_OUTPUT);
    expect(shows(GUESTS)(picture)).to.equal(undefined);
    for (const client of clients) {
      await client.signal('KILL');
      await client.ended();
    }
    expect(await background()).to.equal(undefined);
  });

  it('end when weston dies, and come again when it is back', async () => {
    const clients = [];
    for (const machine of machines) clients.push(await machine.start('weston-simple-shm'));
    expect(await weston.until((picture) => (windowsIn(picture).length > 0 ? undefined : 'no window'))).to.equal(
      undefined,
    );
    weston.process.kill('SIGKILL');
    await weston.process.exited;
    for (const client of clients) await client.ended();
    weston = await startWestonOnHost({ root, dir });
    expect(await background()).to.equal(undefined);
    for (const machine of machines) {
      const client = await machine.start('weston-simple-shm');
      expect(await weston.until((picture) => (windowsIn(picture).length > 0 ? undefined : 'no window'))).to.equal(
        undefined,
      );
      await client.signal('KILL');
      await client.ended();
      expect(await background()).to.equal(undefined);
    }
  });

  it('end in order', async () => {
    for (const { guest, backend } of machines) {
      expect(await guest.poweroff()).to.deep.equal({ code: 0, signal: null });
      expect(backend.alive).to.equal(true);
      // That the compositor had gone while something was sent, and that this one has no security contexts.
      expect(complaints(backend).filter((line) => !/ (SUBMIT_3D of|cross-domain:) /.test(line))).to.deep.equal([]);
    }
  });
});
