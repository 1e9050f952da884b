import { Table, Text } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { getAttributes, getValues } from "../services/dataserver";
import { countKinds, countText } from "./ImageKeyStrip";
import type { FileContents, Scalar, Tomogram } from "./tomogram";
import { useNumbers } from "./useTomogram";

interface Props {
  file: string;
  contents: FileContents;
  tomogram: Tomogram | null;
}

const MOST_SCALARS = 60;

export function MetadataTable({ file, contents, tomogram }: Props) {
  const scalars = contents.scalars.slice(0, MOST_SCALARS);
  const values = useQueries({
    queries: scalars.map((scalar) => ({
      queryKey: ["scalar", file, scalar.path],
      queryFn: ({ signal }: { signal: AbortSignal }) => readScalar(file, scalar, signal),
      staleTime: 60_000,
    })),
  });
  return (
    <Table aria-label="Metadata" verticalSpacing={4} withRowBorders>
      <Table.Tbody>
        {tomogram && <Summary file={file} tomogram={tomogram} />}
        {scalars.map((scalar, index) => (
          <Row key={scalar.path} name={scalar.path}>
            {values[index]?.isError ? "could not be read" : (values[index]?.data ?? "…")}
          </Row>
        ))}
        {(contents.scalars.length > scalars.length || contents.truncated) && (
          <Row name="…">The file holds more: see “All contents”.</Row>
        )}
        {!tomogram && scalars.length === 0 && (
          <Row name="">The file holds no single values: see “All contents”.</Row>
        )}
      </Table.Tbody>
    </Table>
  );
}

function Summary({ file, tomogram }: { file: string; tomogram: Tomogram }) {
  const keys = useNumbers(file, tomogram.imageKey).data;
  const angles = useNumbers(file, tomogram.angles).data;
  const { data, kind } = tomogram;
  const turning = keys && angles ? angles.filter((_, index) => keys[index] === 0) : angles;
  return (
    <>
      <Row name="Dataset">{data.path}</Row>
      <Row name="Shape">
        {data.shape.join(" × ")}
        {kind === "frames" ? " (frames × rows × columns)" : ""}
      </Row>
      {keys && (
        <Row name="Frames">
          {[...countKinds(keys)].map(([name, count]) => countText(name, count)).join(", ")}
        </Row>
      )}
      {turning && turning.length > 0 && (
        <Row name="Rotation">
          {extreme(turning, Math.min)}° to {extreme(turning, Math.max)}° in {turning.length} steps
        </Row>
      )}
    </>
  );
}

function extreme(values: number[], pick: (a: number, b: number) => number): string {
  return values.reduce((a, b) => pick(a, b)).toFixed(2);
}

function Row({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <Table.Tr>
      <Table.Th scope="row" w="40%" style={{ overflowWrap: "anywhere", fontWeight: 500 }}>
        {name}
      </Table.Th>
      <Table.Td>
        <Text size="sm" style={{ overflowWrap: "anywhere" }}>
          {children}
        </Text>
      </Table.Td>
    </Table.Tr>
  );
}

async function readScalar(file: string, scalar: Scalar, signal: AbortSignal): Promise<string> {
  const [value, attributes] = await Promise.all([
    getValues(file, scalar.path, signal),
    scalar.hasUnits ? getAttributes(file, scalar.path, signal) : Promise.resolve(undefined),
  ]);
  const text = Array.isArray(value) ? value.join(", ") : String(value);
  const units = attributes?.units;
  return typeof units === "string" ? `${text} ${units}` : text;
}
