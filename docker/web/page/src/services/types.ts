/** What the session's services answer, as JSON. */

export interface Group {
  name: string;
  gid: number;
}

export interface Visit {
  name: string;
  path: string;
  readable: boolean;
  group: string;
}

export interface DefaultPaths {
  data: string;
  process_list: string;
  output: string;
}

export interface Engine {
  name: string;
  version: string | null;
  available: boolean;
  default: boolean;
  /** Why it is not available; empty if it is. */
  reason: string | null;
}

export interface Session {
  user: string;
  display_name: string;
  /** JupyterHub's server name; empty for the default server. */
  server: string;
  uid: number;
  gid: number;
  groups: Group[];
  /** Ends with a slash. */
  hub_url: string;
  support_contact: string;
  data_roots: string[];
  visits: Visit[];
  default_paths: DefaultPaths;
  engines: Engine[];
}

export type EntryType = "folder" | "data" | "process_list" | "file";

export interface Entry {
  name: string;
  path: string;
  type: EntryType;
  /** Bytes; null where it could not be found out. */
  size: number | null;
  /** ISO 8601, UTC. */
  mtime: string | null;
  readable: boolean;
  writable: boolean;
}

export interface Folder {
  path: string;
  parent: string | null;
  writable: boolean;
  entries: Entry[];
  total: number;
  offset: number;
  truncated: boolean;
}

export interface Description {
  summary?: string;
  verbose?: string;
}

export interface Parameter {
  name: string;
  /** As the user would type it: "None", "[0, 1]", "0.5". */
  value: string;
  type?: string;
  description?: Description | string | null;
  visibility: string;
  options?: [value: string, text: string][] | null;
  default?: string | null;
}

export interface Citation {
  citation?: string;
  description: string;
  doi: string;
  endnote: string;
  bibtex: string;
}

export interface Plugin {
  name: string;
  id: string;
  info: string;
  synopsis: string;
  warn: string;
  doc_link: string;
  citations: Citation[];
  engines: string[];
  parameters: Parameter[];
}

/** One step of a process list. */
export interface Step {
  name: string;
  pos: string;
  info?: string | null;
  synopsis?: string | null;
  warn?: string | null;
  doc_link?: string | null;
  id: string;
  active: boolean;
  citations?: Citation[];
  parameters: Parameter[];
  /** False: no catalogue knows the plugin; it is kept as it is. */
  known: boolean;
}

export interface EngineVerdict {
  name: string;
  runs: boolean;
  lacks: { pos: string; name: string; reason: string }[];
  elsewhere: string[];
}

export interface ProcessList {
  filename: string;
  plugins: Step[];
  engines: EngineVerdict[];
}

export interface StepError {
  pos: string;
  plugin: string;
  parameter?: string | null;
  message: string;
}

export interface Check {
  plugins: Step[];
  engines: EngineVerdict[];
  errors: StepError[];
}

/** A process list as it is sent: values as the user typed them. */
export interface ListBody {
  plugins: {
    name: string;
    active: boolean;
    id?: string;
    parameters: { name: string; value: string }[];
  }[];
}

export type Queue = "preview" | "full";
export type JobState = "queued" | "running" | "completed" | "failed" | "cancelled";

export interface Progress {
  percent: number;
  plugin: string;
  plugin_percent: number;
  step: number;
  steps: number;
}

export interface Job {
  id: string;
  state: JobState;
  running: boolean;
  successful: boolean;
  status: string;
  message: string;
  process_list: string;
  dataset: string;
  output: string;
  output_dataset: string | null;
  result: { path: string; dataset: string; shape: number[] } | null;
  logfile: string | null;
  engine: string;
  submitted: string;
  started: string | null;
  ended: string | null;
  /** In the queue, 0 while it runs; null once it has ended. */
  position: number | null;
  /** The detector rows that a preview was made of; null for all, or where that is not known. */
  rows?: { start: number; stop: number; total: number } | null;
  /** The output folder holds an unfinished result. */
  incomplete?: boolean;
  progress: Progress;
}

export interface QueuedJob {
  queue: Queue;
  job: Job;
}

export interface Submission {
  process_list: string;
  dataset: string;
  output: string;
  engine?: string;
}
