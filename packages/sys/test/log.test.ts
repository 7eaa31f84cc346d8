import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { escapeBytes, silentLogger } from '../src/index.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('escapeBytes', () => {
  it('keeps printable ASCII and escapes the rest', () => {
    expect(escapeBytes(bytesOf('file name~'))).to.equal('file name~');
    expect(escapeBytes(Uint8Array.of(0, 10, 27, 127, 200))).to.equal('\\x00\\x0a\\x1b\\x7f\\xc8');
    expect(escapeBytes(bytesOf('a\\x00'))).to.equal('a\\\\x00');
  });

  it('cuts at the cap and says how much is missing', () => {
    expect(escapeBytes(bytesOf('abcdef'), 4)).to.equal('abcd…(+2 bytes)');
    expect(escapeBytes(bytesOf('abcd'), 4)).to.equal('abcd');
  });

  it('gives one line of printable text that can be read back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = escapeBytes(bytes);
        expect(text).to.match(/^[\x20-\x7e]*$/);
        const back = text.replace(/\\(\\|x[0-9a-f]{2})/g, (_, what: string) =>
          what === '\\' ? '\\' : String.fromCharCode(Number.parseInt(what.slice(1), 16)),
        );
        expect([...back].map((char) => char.charCodeAt(0))).to.deep.equal([...bytes]);
      }),
    );
  });
});

describe('silentLogger', () => {
  it('takes every level and says nothing', () => {
    for (const level of ['error', 'warn', 'info', 'debug', 'trace'] as const) {
      expect(silentLogger[level]('message', { field: 1 })).to.equal(undefined);
    }
  });
});
