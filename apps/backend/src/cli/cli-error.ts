/** A mistake on the command line. */

/** Says in one line what to change; the program prints it and exits with status 2. */
export class CliError extends Error {
  override readonly name = 'CliError';
}
