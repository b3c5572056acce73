/** What a device needs: the line of its configuration, and how its agent starts with it. */
export function enrolSteps(joinString: string) {
  return [
    {
      label: 'Into /etc/wherry/agent.json on the device, beside its name, board, folders and trustRoot',
      text: `"join": ${JSON.stringify(joinString)}`,
    },
    {
      label: 'Then start its agent, as root in the folder of Wherry',
      text: 'npm run build && bin/wherry-agent',
    },
  ] as const;
}
