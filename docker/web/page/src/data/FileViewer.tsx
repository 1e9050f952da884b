import { App, H5GroveProvider } from "@h5web/app";
import "@h5web/app/styles.css";
import { useComputedColorScheme } from "@mantine/core";
import { request, sessionUrl } from "../session/client";

interface FetcherOptions {
  abortSignal?: AbortSignal;
}

/** H5Web's requests go the way of all others: with the token, and watched for a lost session. */
async function fetcher(
  url: string,
  params: Record<string, string>,
  options: FetcherOptions = {},
): Promise<ArrayBuffer> {
  const slashed = url.endsWith("/") ? url : `${url}/`;
  const query = new URLSearchParams(params);
  const response = await request(`${slashed}?${query.toString()}`, {
    action: "Reading the file",
    signal: options.abortSignal,
  });
  return response.arrayBuffer();
}

/** Any HDF5 or NeXus file, by H5Web. A chunk of its own: it weighs more than the rest of the page. */
export default function FileViewer({ file }: { file: string }) {
  const scheme = useComputedColorScheme("light");
  return (
    <div className="fill" data-scheme={scheme} style={{ position: "relative", minHeight: 300 }}>
      <H5GroveProvider url={sessionUrl("data/h5grove")} filepath={file} fetcher={fetcher}>
        <App disableDarkMode={scheme === "light"} />
      </H5GroveProvider>
    </div>
  );
}
