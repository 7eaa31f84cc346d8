import { expect } from 'chai';
import fc from 'fast-check';
import { CliError } from '../src/cli/cli-error.ts';
import { parseDeviceSpec } from '../src/cli/key-values.ts';

function parse(text: string): { type: string; entries: [string, string | null][] } {
  const { type, entries } = parseDeviceSpec('device', text);
  return { type, entries: [...entries] };
}

describe('parseDeviceSpec', () => {
  it('reads a type, keys with values and keys alone', () => {
    expect(parse('fs,socket-path=/run/a b,readonly,tag=')).to.deep.equal({
      type: 'fs',
      entries: [
        ['socket-path', '/run/a b'],
        ['readonly', null],
        ['tag', ''],
      ],
    });
    expect(parse('gpu')).to.deep.equal({ type: 'gpu', entries: [] });
  });

  it('takes a doubled comma for one that belongs to a value, and an equals sign behind the first', () => {
    expect(parse('gpu,outputs=1x1,,2x2,,,fd=3').entries).to.deep.equal([
      ['outputs', '1x1,2x2,'],
      ['fd', '3'],
    ]);
    expect(parse('fs,tag=a=b').entries).to.deep.equal([['tag', 'a=b']]);
  });

  for (const bad of ['', ',', 'fs,', 'fs,=x', 'fs,Tag=x', 'fs,tag=a,tag=b', 'FS,tag=a', '-x', 'fs,1=2', 'fs,,x']) {
    it(`refuses '${bad}'`, () => {
      expect(() => parse(bad)).to.throw(CliError, '--device=');
    });
  }

  it('gives every value back', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 5 }), (values) => {
        const names = ['a', 'b', 'c', 'd', 'e'];
        const text = values.map((value, index) => `,${names[index]}=${value.replaceAll(',', ',,')}`).join('');
        expect(parse(`fs${text}`).entries.map(([, value]) => value)).to.deep.equal(values);
      }),
    );
  });
});
