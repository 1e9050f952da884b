import { Button, Center, Group, Loader, Select, Stack, Tabs, Text, Title } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useState } from "react";
import { ForeignNotice } from "../ForeignNotice";
import { useLocation } from "../location";
import { downloadUrl } from "../services/api";
import { CopyPathButton } from "../shared/CopyPathButton";
import { ProblemAlert } from "../shared/ProblemAlert";
import { baseName } from "../shared/paths";
import { ContentsView } from "./ContentsView";
import { MetadataTable } from "./MetadataTable";
import { FramesView, SinogramView, VolumeView } from "./TomogramViews";
import { describeVolume, rankVolumes, type FileContents } from "./tomogram";
import { useSurvey } from "./useTomogram";

export function DataPane() {
  const [location] = useLocation();
  if (!location.data) {
    return (
      <Center className="fill">
        <Stack align="center" gap={4}>
          <Title order={2} size="h4">
            No data file is open
          </Title>
          <Text c="dimmed">Choose one in the list of files, or paste its path there.</Text>
        </Stack>
      </Center>
    );
  }
  return <OpenFile file={location.data} />;
}

function OpenFile({ file }: { file: string }) {
  return (
    <section className="fill" aria-label="Data">
      <Group px="md" pt="xs" justify="space-between" wrap="nowrap">
        <Title order={2} size="h5" className="path" title={file}>
          {baseName(file)}
        </Title>
        <Group gap={6} wrap="nowrap">
          <CopyPathButton path={file} label="Copy path of this file" />
          <Button
            component="a"
            href={downloadUrl(file)}
            download={baseName(file)}
            size="xs"
            variant="default"
            leftSection={<IconDownload size={16} />}
          >
            Download
          </Button>
        </Group>
      </Group>
      <Contents file={file} />
    </section>
  );
}

function Contents({ file }: { file: string }) {
  const survey = useSurvey(file);
  if (survey.isPending) {
    return (
      <Center className="fill">
        <Loader aria-label="Reading what the file holds" />
      </Center>
    );
  }
  if (survey.isError) {
    return (
      <Stack p="md">
        <ForeignNotice />
        <ProblemAlert error={survey.error} onRetry={() => void survey.refetch()} />
      </Stack>
    );
  }
  return <Views file={file} contents={survey.data} />;
}

function Views({ file, contents }: { file: string; contents: FileContents }) {
  const volumes = rankVolumes(contents);
  const [chosen, setChosen] = useState<string | null>(null);
  const volume = volumes.find((item) => item.path === chosen) ?? volumes[0];
  const tomogram = volume ? describeVolume(contents, volume) : null;
  const [tab, setTab] = useState<string | null>(null);
  const frames = tomogram?.kind === "frames";
  const first = !tomogram ? "contents" : frames ? "frames" : "slices";
  const shown = tab ?? first;
  return (
    <Tabs
      value={shown}
      onChange={setTab}
      variant="pills"
      className="fill"
      keepMounted={false}
      p="md"
      pt="xs"
    >
      <Group justify="space-between" wrap="nowrap" pb="xs">
        <Tabs.List aria-label="Views of the data">
          {frames && <Tabs.Tab value="frames">Frames</Tabs.Tab>}
          {frames && <Tabs.Tab value="sinogram">Sinogram</Tabs.Tab>}
          {tomogram && !frames && <Tabs.Tab value="slices">Slices</Tabs.Tab>}
          <Tabs.Tab value="metadata">Metadata</Tabs.Tab>
          <Tabs.Tab value="contents">All contents</Tabs.Tab>
        </Tabs.List>
        {volumes.length > 1 && shown !== "contents" && (
          <Select
            aria-label="Dataset shown"
            size="xs"
            w={260}
            data={volumes.map(({ path, shape }) => ({
              value: path,
              label: `${path} (${shape.join(" × ")})`,
            }))}
            value={volume?.path ?? null}
            onChange={(path) => {
              setChosen(path);
              setTab(null);
            }}
            allowDeselect={false}
            comboboxProps={{ width: 460, position: "bottom-end" }}
          />
        )}
      </Group>
      {tomogram && (
        <>
          <Tabs.Panel value="frames" className="fill">
            <FramesView key={tomogram.data.path} file={file} tomogram={tomogram} />
          </Tabs.Panel>
          <Tabs.Panel value="sinogram" className="fill">
            <SinogramView key={tomogram.data.path} file={file} tomogram={tomogram} />
          </Tabs.Panel>
          <Tabs.Panel value="slices" className="fill">
            <VolumeView key={tomogram.data.path} file={file} tomogram={tomogram} />
          </Tabs.Panel>
        </>
      )}
      <Tabs.Panel value="metadata" className="scroll">
        <MetadataTable file={file} contents={contents} tomogram={tomogram} />
      </Tabs.Panel>
      <Tabs.Panel value="contents" className="fill">
        <ContentsView file={file} />
      </Tabs.Panel>
    </Tabs>
  );
}
