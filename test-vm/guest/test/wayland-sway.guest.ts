/** Programs of a guest on sway, headless: windows, input, clipboard, many clients, a compositor that stalls or dies. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  complaints,
  cutOut,
  globalsIn,
  guestSuite,
  orielCtl,
  pictureDifference,
  SIMPLE_SHM,
  SWAY_OUTPUT,
  type Sway,
  type SwayWindow,
  simpleShmDifference,
  startSway,
  VirtualInput,
  WaylandMachine,
  waylandTree,
} from '../index.ts';

const APP_ID = 'org.example.Oriel';
const INSTANCE_ID = 'vm-7';
/** What sway offers to nobody in a sandbox. */
const PRIVILEGED = [
  ...['ext_foreign_toplevel_list_v1', 'ext_session_lock_manager_v1', 'ext_transient_seat_manager_v1'],
  ...['wp_security_context_manager_v1', 'zwlr_data_control_manager_v1', 'zwlr_foreign_toplevel_manager_v1'],
  ...['zwlr_gamma_control_manager_v1', 'zwlr_layer_shell_v1', 'zwlr_output_manager_v1', 'zwlr_output_power_manager_v1'],
  ...['zwlr_screencopy_manager_v1', 'zwlr_virtual_pointer_manager_v1', 'zwp_input_method_manager_v2'],
  ...['zwp_keyboard_shortcuts_inhibit_manager_v1', 'zwp_virtual_keyboard_manager_v1', 'zxdg_output_manager_v1'],
];
/** dma-bufs do not pass. */
const HIDDEN = ['zwlr_export_dmabuf_manager_v1'];
const PASTE_BYTES = 10 << 20;

const lacking = (of: readonly string[], than: readonly string[]): string[] => of.filter((one) => !than.includes(one));
const isFocused = (appId: string) => (windows: readonly SwayWindow[]) =>
  windows.some((window) => window.app_id === appId && window.focused);
const TWENTY = 20;
const HOSTILE_CONTEXTS = 10;
const HOSTILE_ROUNDS = 60;
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Not compressible, and the same each time. */
function payload(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, word = 1; at < length; at += 4) {
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(word, at);
  }
  return bytes;
}

describe('Wayland programs of a guest on sway', () => {
  const suite = guestSuite('wl-sway');
  let root = '';
  let dir = '';
  let sway: Sway;
  let input: VirtualInput;
  let machine: WaylandMachine;

  before(async function () {
    this.timeout(300_000);
    root = await waylandTree();
    dir = suite.folder('sway');
    sway = await startSway({ root, dir });
    input = await VirtualInput.open(sway.socketPath);
    await pointAway();
    machine = await WaylandMachine.open({
      environment: suite.environment,
      dir: suite.folder('vm'),
      root,
      compositor: sway.socketPath,
      args: [`--wayland-app-id=${APP_ID}`, `--wayland-instance-id=${INSTANCE_ID}`],
    });
  });
  after(async () => {
    await machine?.[Symbol.asyncDispose]();
    input?.[Symbol.dispose]();
    await sway?.[Symbol.asyncDispose]();
  });

  /** The cursor is drawn into the picture: the last corner is nobody's. */
  const pointAway = () => input.point(SWAY_OUTPUT.width - 1, SWAY_OUTPUT.height - 1, SWAY_OUTPUT);
  const noWindows = () => sway.windowsWhen((windows) => windows.length === 0);

  it('are told of what the host has, less what cannot pass and what sway keeps from sandboxes', async () => {
    const here = globalsIn(await sway.run('wayland-info'));
    const there = globalsIn(await machine.run('wayland-info'));
    expect(there).to.include.members(['wl_compositor 6', 'wl_shm 2', 'xdg_wm_base 5', 'wl_seat 9']);
    expect(lacking(there, here), 'invented').to.deep.equal([]);
    expect(lacking(here, there).map((one) => one.split(' ')[0])).to.have.members([...PRIVILEGED, ...HIDDEN]);
  });

  it('show their windows, pixel by pixel, and close when asked to', async () => {
    const client = await machine.start('weston-simple-shm');
    const [window] = await sway.windowsWhen((windows) => windows.length === 1);
    expect(window).to.include({ app_id: 'org.freedesktop.weston.simple-shm', name: 'simple-shm' });
    expect(window!.rect).to.include(SIMPLE_SHM);
    for (const [left, top] of [
      [0, 0],
      [613, 407],
    ] as const) {
      await sway.move(window!, left, top);
      await client.signal('STOP');
      expect(await sway.until((picture) => simpleShmDifference(picture, { left, top }))).to.equal(undefined);
      await client.signal('CONT');
    }
    await sway.close(window!);
    expect(await client.ended()).to.equal(0);
    await noWindows();
  });

  it('get the keyboard and its keys in a terminal', async () => {
    const typed = '/tmp/typed';
    const client = await machine.start('foot', 'sh', '-c', `read line; echo "$line" >${typed}; read line`);
    const [window] = await sway.windowsWhen(isFocused('foot'));
    await input.type('the quick brown fox jumps over the lazy dog 0123456789\n');
    expect(await machine.guest.ok(`until [ -s ${typed} ]; do usleep 20000; done; cat ${typed}`)).to.equal(
      'the quick brown fox jumps over the lazy dog 0123456789',
    );
    await sway.close(window!);
    await client.ended();
    await noWindows();
  });

  it('get motion, buttons and keys as they happen', async () => {
    // The terminal writes what the pointer does as text: button or 35 for none, column, line, M pressed and m let go.
    const seen = '/tmp/seen';
    const script = String.raw`stty -echo; printf '\033[?1003h\033[?1006hready'; read -r line; printf %s "$line" >${seen}`;
    const client = await machine.start('foot', 'sh', '-c', `${script}; read line`);
    const [window] = await sway.windowsWhen(isFocused('foot'));
    // The word is there once the terminal has read what comes before it.
    expect(await sway.until((picture) => (new Set(picture.pixels).size > 10 ? undefined : 'no word'))).to.equal(
      undefined,
    );
    await input.point(5, 5, SWAY_OUTPUT);
    await input.point(205, 155, SWAY_OUTPUT);
    await input.click();
    await input.type('q\n');
    const events = await machine.guest.ok(`until [ -s ${seen} ]; do usleep 20000; done; tr -d '\\033' <${seen}`);
    expect(events).to.match(/\[<35;(\d+;\d+)M\[<0;\1M\[<0;\1mq$/);
    await pointAway();
    await sway.close(window!);
    await client.ended();
    await noWindows();
  });

  /** The host's own program lies beside the guest's, and none of them has the focus: they must be alike, pixel by pixel. */
  async function looksAsOnTheHost(words: readonly [string, ...string[]], name: string): Promise<void> {
    const [program, ...args] = words;
    const here = sway.start(program, ...args);
    const own = (await sway.windowsWhen((windows) => windows.some((window) => window.name === name))).map(
      ({ id }) => id,
    );
    const there = await machine.start(...words);
    const isNew = ({ id }: SwayWindow) => !own.includes(id);
    await sway.windowsWhen((windows) => windows.some((window) => window.name === name && isNew(window)));
    const focused = sway.start('weston-flower');
    const all = await sway.windowsWhen(isFocused('org.freedesktop.weston.flower'));
    const halves = { true: { x: SWAY_OUTPUT.width / 2, y: 0 }, false: { x: 0, y: 0 } };
    for (const window of all) {
      const { x, y } = window.name === name ? halves[`${isNew(window)}`] : { x: 0, y: SWAY_OUTPUT.height };
      await sway.move(window, x, y);
    }
    const { width, height } = all.find((window) => window.name === name)!.rect;
    const different = await sway.until((picture) => {
      const [left, right] = [halves.false, halves.true].map((place) => cutOut(picture, { ...place, width, height }));
      return new Set(left!.pixels).size < 10 ? 'it has not drawn' : pictureDifference(right!, left!);
    });
    expect(different).to.equal(undefined);
    await there.signal('TERM');
    await there.ended();
    await Promise.all([here.stop(), focused.stop()]);
    await noWindows();
  }

  it('draw text in a terminal as on the host', async () => {
    const script = String.raw`printf '\033[?25lplain \033[1;31mred \033[42mgreen\033[0m\n'; i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done; read line`;
    await looksAsOnTheHost(['foot', '--title=colours', 'sh', '-c', script], 'colours');
  });

  it('draw a GTK window as on the host', () => looksAsOnTheHost(['gtk3-demo', '--run=button_box'], 'Button Boxes'));

  it('paste what the host copied, and the host what they copied', async () => {
    const copied = sway.start('wl-copy', '--foreground', 'the text of the host');
    await sway.clipboardWhen('the text of the host');
    expect(await machine.run('wl-paste', '-n')).to.equal('the text of the host');
    const client = await machine.start('wl-copy', '--foreground', 'the text of the guest');
    expect((await copied.waitExit()).code, 'another one owns the clipboard').to.equal(0);
    await sway.clipboardWhen('the text of the guest');
    await client.signal('TERM');
    await client.ended();
  });

  it('paste and copy 10 MiB intact', async () => {
    const bytes = payload(PASTE_BYTES);
    const file = join(dir, 'payload');
    writeFileSync(file, bytes);
    const type = 'application/octet-stream';
    const copied = sway.startShell(`exec "$@" <'${file}'`, 'wl-copy', '--foreground', '--type', type);
    await sway.clipboardHas(type);
    await machine.run('sh', '-c', `exec wl-paste -t ${type} >/tmp/pasted`);
    expect((await machine.guest.ok('sha256sum </tmp/pasted')).split(' ')[0]).to.equal(sha256(bytes));
    const client = await machine.start('sh', '-c', `exec wl-copy --foreground --type ${type} </tmp/pasted`);
    await copied.waitExit();
    await sway.clipboardHas(type);
    await sway.startShell(`exec "$@" >'${file}'`, 'wl-paste', '-t', type).waitExit();
    expect(sha256(readFileSync(file))).to.equal(sha256(bytes));
    await client.signal('TERM');
    await client.ended();
  });

  it('show twenty windows at once', async () => {
    const clients = [];
    for (let n = 0; n < TWENTY; n++) clients.push(await machine.start('weston-simple-shm'));
    const windows = await sway.windowsWhen(({ length }) => length === TWENTY, 60_000);
    const places = windows.map((_, n) => ({ left: (n % 6) * 260, top: Math.floor(n / 6) * 255 }));
    for (const [n, { left, top }] of places.entries()) await sway.move(windows[n]!, left, top);
    for (const client of clients) await client.signal('STOP');
    const wrong = await sway.until((picture) =>
      places.map((place) => simpleShmDifference(picture, place)).find((why) => why !== undefined),
    );
    expect(wrong).to.equal(undefined);
    for (const client of clients) await client.signal('KILL');
    for (const client of clients) await client.ended();
    await noWindows();
  });

  it('go on beside one that sends anything but what the protocol says', async () => {
    const client = await machine.start('weston-simple-shm');
    await sway.windowsWhen(({ length }) => length === 1);
    for (const seed of [1, 2, 3]) {
      const output = await machine.guest.ok(`crossdomain ${seed} ${HOSTILE_CONTEXTS} ${HOSTILE_ROUNDS}`);
      expect(output).to.match(/^ok submits=\d+/);
    }
    await client.signal('STOP');
    expect(await sway.until((picture) => simpleShmDifference(picture, { left: 0, top: 0 }))).to.equal(undefined);
    await client.signal('CONT');
    expect(globalsIn(await machine.run('wayland-info'))).to.include('wl_shm 2');
    await client.signal('TERM');
    expect(await client.ended()).to.equal(128 + 15);
    expect(machine.backend.alive).to.equal(true);
    await noWindows();
  });

  it('wait while the compositor stands still, and go on with it', async () => {
    const client = await machine.start('weston-simple-shm');
    const [window] = await sway.windowsWhen(({ length }) => length === 1);
    sway.process.kill('SIGSTOP');
    const late = await machine.start('weston-simple-shm');
    expect(await orielCtl(machine.controlSocket, 'stats')).to.match(/gpu/);
    sway.process.kill('SIGCONT');
    await sway.windowsWhen(({ length }) => length === 2);
    for (const one of [client, late]) await one.signal('TERM');
    for (const one of [client, late]) expect(await one.ended()).to.equal(128 + 15);
    expect(window).to.not.equal(undefined);
    await noWindows();
  });

  it('end when the compositor dies, and come again when it is back', async () => {
    const client = await machine.start('weston-simple-shm');
    await sway.windowsWhen(({ length }) => length === 1);
    input[Symbol.dispose]();
    sway.process.kill('SIGKILL');
    await sway.process.exited;
    await client.ended();
    const { output } = await machine.guest.run(machine.command('wayland-info'));
    expect(globalsIn(output), 'there is no compositor').to.deep.equal([]);
    expect(machine.backend.alive).to.equal(true);
    sway = await startSway({ root, dir, env: { WAYLAND_DEBUG: 'server' } });
    const again = await machine.start('weston-simple-shm');
    const [window] = await sway.windowsWhen(({ length }) => length === 1);
    await again.signal('STOP');
    expect(await sway.until((picture) => simpleShmDifference(picture, { left: 0, top: 0 }))).to.equal(undefined);
    await again.signal('CONT');
    await sway.close(window!);
    expect(await again.ended()).to.equal(0);
  });

  it('are known to the compositor as a sandbox by its ids', () => {
    const told = (request: string) => new RegExp(`wp_security_context_v1[#@]\\d+\\.${request}\\("(.*?)"\\)`);
    const { stderr } = sway.process;
    expect(told('set_sandbox_engine').exec(stderr)?.[1]).to.equal('oriel');
    expect(told('set_app_id').exec(stderr)?.[1]).to.equal(APP_ID);
    expect(told('set_instance_id').exec(stderr)?.[1]).to.equal(INSTANCE_ID);
  });

  it('ends in order', async () => {
    expect(await machine.guest.poweroff()).to.deep.equal({ code: 0, signal: null });
    expect(machine.backend.alive).to.equal(true);
    // What the hostile program did, and that the compositor had gone.
    const others = complaints(machine.backend).filter((line) => !/ (SUBMIT_3D of|cross-domain:) /.test(line));
    expect(others).to.deep.equal([]);
  });
});
