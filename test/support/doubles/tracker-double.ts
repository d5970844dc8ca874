import { type DoubleAnswer, type DoubleCall, HttpDouble } from './chat-doubles.js';

export interface DoubleIssue {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly labels: string[];
  readonly assignees: readonly string[];
  state: 'open' | 'closed';
  readonly comments: { readonly id: number; readonly body: string }[];
}

/** Issues as the REST APIs of GitHub and GitLab have them. It checks the token and what is sent. */
export class TrackerDouble {
  static readonly TOKEN = 'token-of-the-tracker';
  readonly issues: DoubleIssue[] = [];
  /** The next answers to POST, in place of its own. */
  readonly next: DoubleAnswer[] = [];
  private http!: HttpDouble;

  static async start(): Promise<TrackerDouble> {
    const double = new TrackerDouble();
    double.http = await HttpDouble.start((call) => double.answer(call));
    return double;
  }
  get url(): string {
    return this.http.url;
  }
  get calls(): readonly DoubleCall[] {
    return this.http.calls;
  }
  stop(): Promise<void> {
    return this.http.stop();
  }

  private answer(call: DoubleCall): DoubleAnswer {
    const github = /^\/repos\/acme\/app\/issues(?:\/(\d+)(\/comments|\/labels)?)?$/.exec(call.path);
    const gitlab = /^\/projects\/acme%2Fapp\/issues(?:\/(\d+)(\/notes)?)?$/.exec(call.path);
    if (call.path === '/users') return { status: 200, body: call.query.get('username') === 'ada' ? [{ id: 7 }] : [] };
    const [, number, part] = github ?? gitlab ?? [];
    const comments = part !== undefined && part !== '/labels';
    if (!github && !gitlab) return { status: 404, body: { message: 'Not Found' } };
    const token = github ? call.authorization?.replace('Bearer ', '') : call.privateToken;
    if (token !== TrackerDouble.TOKEN) return { status: 401, body: { message: 'Bad credentials' } };
    const shown = (issue: DoubleIssue) => (github ? asGithub(issue) : asGitlab(issue));
    const issue = this.issues.find((one) => String(one.number) === number);
    if (number !== undefined && !issue) return { status: 404, body: { message: 'Not Found' } };
    if (call.method === 'GET') {
      const page = (list: readonly unknown[]) => ({ status: 200, body: call.query.get('page') === '1' ? list : [] });
      return comments
        ? page(issue!.comments)
        : issue
          ? { status: 200, body: shown(issue) }
          : page(this.issues.map(shown));
    }
    const planned = this.next.shift();
    if (planned) return planned;
    const said = JSON.parse(call.text) as Record<string, unknown>;
    if (number !== undefined && !comments) return this.change(issue!, call.method, part, said) ?? { status: 405 };
    if (comments) {
      const comment = { id: issue!.comments.length + 100, body: String(said['body']) };
      issue!.comments.push(comment);
      return { status: 201, body: comment };
    }
    const made: DoubleIssue = {
      number: this.issues.length + 1,
      title: String(said['title']),
      body: String(said[github ? 'body' : 'description']),
      labels: github ? (said['labels'] as string[]) : String(said['labels']).split(',').filter(Boolean),
      assignees: ((said[github ? 'assignees' : 'assignee_ids'] ?? []) as unknown[]).map(String),
      state: 'open',
      comments: [],
    };
    this.issues.push(made);
    return { status: 201, body: shown(made) };
  }

  /** Labels have an address of their own at GitHub, and are fields at GitLab. */
  private change(
    issue: DoubleIssue,
    method: string,
    part: string | undefined,
    said: Record<string, unknown>,
  ): DoubleAnswer | undefined {
    const isLabels = method === 'POST' && part === '/labels';
    if (!isLabels && method !== 'PATCH' && method !== 'PUT') return undefined;
    const labels = isLabels ? (said['labels'] as string[]) : ((said['add_labels'] ?? '') as string).split(',');
    for (const label of labels) if (label !== '' && !issue.labels.includes(label)) issue.labels.push(label);
    if (said['state'] === 'closed' || said['state_event'] === 'close') issue.state = 'closed';
    return { status: 200, body: {} };
  }
}

const asGithub = ({ number, title, body, state }: DoubleIssue) => ({
  id: 1000 + number,
  number,
  title,
  body,
  state,
  html_url: `https://github.com/acme/app/issues/${number}`,
});
const asGitlab = ({ number, title, body, state }: DoubleIssue) => ({
  id: 1000 + number,
  iid: number,
  title,
  description: body,
  state: state === 'open' ? 'opened' : 'closed',
  web_url: `https://gitlab.com/acme/app/-/issues/${number}`,
});
