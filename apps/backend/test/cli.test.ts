import { expect } from 'chai';
import fc from 'fast-check';
import { CliError } from '../src/cli/cli-error.ts';
import { fsOptions } from '../src/cli/fs-options.ts';
import { optionsHelp } from '../src/cli/help.ts';
import { parseOptions } from '../src/cli/parse-options.ts';
import { formatSize, parseSize } from '../src/cli/size.ts';

/** The one line that a person reads. */
function complaint(args: readonly string[]): string {
  try {
    parseOptions(fsOptions, args);
  } catch (error) {
    expect(error).to.be.instanceOf(CliError);
    const { message } = error as CliError;
    expect(message).not.to.include('\n');
    return message;
  }
  throw new Error('nothing was wrong');
}

describe('parseSize', () => {
  it('knows the suffixes of 1024s', () => {
    const sizes = ['4096', '64K', '256M', '2G', '1T', '3m'].map((text) => parseSize('window', text));
    expect(sizes).to.deep.equal([4096, 65536, 268435456, 2147483648, 1099511627776, 3145728]);
  });

  for (const bad of ['', '-1', '1.5G', '0x10', '1P', '9007199254740993', '16384T', ' 1', '1 M']) {
    it(`refuses '${bad}'`, () => {
      expect(() => parseSize('window', bad)).to.throw(CliError, '--window=');
    });
  }

  it('reads what formatSize writes', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize('window', formatSize(bytes)) === bytes));
  });
});

describe('parseOptions', () => {
  it('takes both spellings of a value, flags, and defaults', () => {
    const { values, given } = parseOptions(fsOptions, ['--tag', 'home', '--window=64M', '--readonly']);
    expect(values.tag).to.equal('home');
    expect(values.window).to.equal(64 * 1024 * 1024);
    expect(values.readonly).to.equal(true);
    expect(values.frontend).to.equal('qemu');
    expect(values['shared-dir']).to.equal(undefined);
    expect([...given.keys()]).to.deep.equal(['tag', 'window', 'readonly']);
  });

  it('takes a value that begins with a dash when it is joined', () => {
    expect(parseOptions(fsOptions, ['--tag=-x']).values.tag).to.equal('-x');
  });

  it('names the known options for an unknown one', () => {
    const message = complaint(['--socketpath=/tmp/x']);
    expect(message).to.include('--socketpath').and.to.include('--socket-path').and.to.include('--shared-dir');
  });

  it('refuses an unknown short option', () => {
    expect(complaint(['-o', 'source=/'])).to.include('-o');
  });

  const bad: Record<string, readonly string[]> = {
    'a stray word': ['/srv'],
    'a missing value': ['--tag'],
    'an empty value': ['--tag='],
    'a value for a flag': ['--readonly=yes'],
    'an option given twice': ['--tag=a', '--tag=b'],
    'a word that is none of the choices': ['--frontend=vmware'],
    'a number out of range': ['--queue-size=4'],
    'a number that is none': ['--spin-us=many'],
    'a negative number': ['--fd=-1'],
    'standard error as the socket': ['--fd=2'],
    'a size that is none': ['--window=big'],
    'words after --': ['--', 'fs'],
    'a name of Object': ['--constructor=1'],
  };
  for (const [name, args] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      expect(complaint(args)).to.have.length.greaterThan(10);
    });
  }

  it('never fails otherwise than with a CliError', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom(...Object.keys(fsOptions)).map((name) => `--${name}`),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (args) => {
        try {
          parseOptions(fsOptions, args);
        } catch (error) {
          expect(error).to.be.instanceOf(CliError);
        }
      }),
    );
  });
});

describe('optionsHelp', () => {
  it('has a line for every option, with its default', () => {
    const help = optionsHelp(fsOptions);
    for (const name of Object.keys(fsOptions)) {
      expect(help).to.match(new RegExp(`^  --${name}( |$)`, 'm'));
    }
    expect(help).to.include('(default 256M)');
  });
});
