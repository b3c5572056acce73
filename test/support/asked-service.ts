/** A service "web" that says its version, and one beside it that asks it all the time. Shell scripts for busybox. */

/**
 * Looks the name up and asks, again and again, with 20 ms between; says what is new of the answers. The static wget cannot look up names itself. While the
 * name server reads new names a lookup may have to be sent twice, as every resolver does, and nslookup says so: what
 * counts is the answer.
 */
export const ASK = `
ask() {
  at=
  set -- $(nslookup -type=a web. 2>/dev/null)
  while [ $# -gt 0 ]; do [ "$1" = Address: ] && at=$2; shift; done
  wget -q -O - http://$at:8080/v || echo FAILED
}
last=
while :; do said=$(ask); [ "$said" = "$last" ] || echo "$said"; last=$said; sleep 0.02; done`;

/** Comes up slowly, so that a name that led to it too soon would show. */
export const serve = (version: string, delayS = 1): string =>
  `mkdir /tmp/w; echo ${version} > /tmp/w/v; sleep ${delayS}; exec httpd -f -p 8080 -h /tmp/w`;

/** `file`: "v" is there; any other is not, and the service never well. */
export const healthOfWeb = (file: string, intervalMs = 300) => ({
  check: { kind: 'exec' as const, args: ['/bin/wget', '-q', '-O', '-', `http://127.0.0.1:8080/${file}`] },
  intervalMs,
  timeoutMs: 2000,
  retries: 3,
  startPeriodMs: 4000,
  whenUnhealthy: 'restart' as const,
});

/** What the asker was told since `first` was the answer, each time that it changed: the last words of its log's lines. */
export function answersIn(log: string, first: string): string[] {
  const said = log.split('\n').flatMap((line) => line.split(' ').at(-1) || []);
  const begin = said.indexOf(first);
  return begin < 0 ? [] : said.slice(begin);
}
