import { useQuery } from "@tanstack/react-query";
import { getAttributes, getEntity, getValues } from "../services/dataserver";
import { surveyFile } from "./tomogram";

/** What the file holds; metadata is cheap, so a file that is still written is asked again. */
export function useSurvey(file: string | null) {
  return useQuery({
    queryKey: ["survey", file],
    enabled: file !== null,
    queryFn: ({ signal }) => surveyFile((path) => getEntity(file ?? "", path, signal)),
    staleTime: 30_000,
  });
}

/** A one-dimensional dataset as numbers; disabled without a path. */
export function useNumbers(file: string, path: string | null) {
  return useQuery({
    queryKey: ["values", file, path],
    enabled: path !== null,
    queryFn: ({ signal }) => getValues<number[]>(file, path ?? "", signal),
    staleTime: 60_000,
  });
}

/** The attributes of the group that a dataset lies in. */
export function useGroupAttributes(file: string, dataset: string | null) {
  const group = dataset ? dataset.slice(0, dataset.lastIndexOf("/")) || "/" : null;
  return useQuery({
    queryKey: ["attributes", file, group],
    enabled: group !== null,
    queryFn: ({ signal }) => getAttributes(file, group ?? "/", signal),
    staleTime: 60_000,
  });
}
