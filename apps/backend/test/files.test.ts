import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSys, silentLogger } from '@oriel/sys';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { decode } from 'fast-png';
import { ControlServer } from '../src/control/control-server.ts';
import { LineSplitter } from '../src/control/lines.ts';
import { ControlError } from '../src/device-module.ts';
import { replaceFile } from '../src/replace-file.ts';
import { runCtl } from '../src/run-ctl.ts';
import { encodePng } from '../src/screenshots/png.ts';

describe('LineSplitter', () => {
  it('finds the same lines however they are cut', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'ä', '\n', '{') });
    fc.assert(
      fc.property(text, fc.array(fc.nat(7)), (whole, cuts) => {
        const bytes = Buffer.from(whole);
        const splitter = new LineSplitter(1000);
        const lines: string[] = [];
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          lines.push(...splitter.push(bytes.subarray(at, at + cut)));
          at += cut;
        }
        expect([...lines, splitter.rest()]).to.deep.equal(whole.split('\n'));
      }),
    );
  });

  it('refuses a line that is too long, in one piece or in many', () => {
    const splitter = new LineSplitter(4);
    expect(splitter.push(Buffer.from('abcd\nabcd'))).to.deep.equal(['abcd']);
    expect(() => splitter.push(Buffer.from('e'))).to.throw(RangeError, '4');
    expect(() => new LineSplitter(4).push(Buffer.from('abcde\n'))).to.throw(RangeError);
  });
});

describe('encodePng', () => {
  it('drops the fourth byte and turns B, G, R into R, G, B', () => {
    const pixels = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const { width, height, channels, data } = decode(encodePng({ width: 1, height: 2, pixels }));
    expect([width, height, channels, ...data]).to.deep.equal([1, 2, 3, 3, 2, 1, 7, 6, 5]);
  });
});

describe('replaceFile', () => {
  let dir: TempDir;

  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir[Symbol.dispose]());

  it('puts a new file in the place of an old one, and follows no link', () => {
    const path = join(dir.path, 'x');
    const other = join(dir.path, 'other');
    writeFileSync(other, 'untouched');
    symlinkSync(other, path);
    replaceFile(path, Buffer.from('new'));
    expect(readFileSync(path, 'utf8')).to.equal('new');
    expect(readFileSync(other, 'utf8')).to.equal('untouched');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(readdirSync(dir.path).sort()).to.deep.equal(['other', 'x']);
  });

  it('follows no link that waits where it writes first', () => {
    const other = join(dir.path, 'other');
    writeFileSync(other, 'untouched');
    symlinkSync(other, join(dir.path, `.x.${process.pid}.tmp`));
    replaceFile(join(dir.path, 'x'), Buffer.from('new'));
    expect(readFileSync(other, 'utf8')).to.equal('untouched');
  });

  it('leaves nothing behind when it fails', () => {
    mkdirSync(join(dir.path, 'x'));
    expect(() => replaceFile(join(dir.path, 'x'), Buffer.from('new'))).to.throw();
    expect(readdirSync(dir.path)).to.deep.equal(['x']);
  });
});

describe('oriel ctl screenshot', () => {
  let dir: TempDir;
  let server: ControlServer;
  const png = Buffer.from('a picture');
  const out = { text: '', write: (some: string | Uint8Array) => void (out.text += String(some)) };

  beforeEach(() => {
    dir = tempDir();
    out.text = '';
    const answer = async () => [{ scanout: 0, width: 1, height: 1, png: png.toString('base64') }];
    server = ControlServer.listen(join(dir.path, 'c'), { sys: openSys(), log: silentLogger, answer });
  });
  afterEach(() => {
    server.close();
    dir[Symbol.dispose]();
  });

  function take(file: string): Promise<void> {
    const call = { socketPath: join(dir.path, 'c'), request: { command: 'screenshot' }, file };
    return runCtl(call, out as unknown as NodeJS.WritableStream);
  }

  it('writes a file, standard output, or what is no file', async () => {
    await take(join(dir.path, 'x.png'));
    expect(readFileSync(join(dir.path, 'x.png'))).to.deep.equal(png);
    await take('-');
    expect(out.text).to.equal('a picture');
    await take('/dev/null');
    expect(statSync('/dev/null').isCharacterDevice()).to.equal(true);
  });

  it('says why it cannot', async () => {
    const error = await take(join(dir.path, 'nowhere', 'x.png')).catch((reason) => reason);
    expect(error).to.be.instanceOf(ControlError);
    expect(error.message).to.include('nowhere');
    expect(existsSync(join(dir.path, 'nowhere'))).to.equal(false);
  });
});
