/** PromQL editor: highlighting, linting and completion from the querier's own metadata. Enter runs, Shift+Enter breaks the line. */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { HighlightStyle, bracketMatching, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { highlightSelectionMatches } from '@codemirror/search';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useComputedColorScheme } from '@mantine/core';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { type ReactNode, useEffect, useRef } from 'react';
import { pathPrefix } from '../api/client.ts';

const colours = (dark: boolean): HighlightStyle =>
  HighlightStyle.define([
    { tag: tags.keyword, color: dark ? '#66d9e8' : '#0b7285' },
    { tag: tags.function(tags.variableName), color: dark ? '#66d9e8' : '#0b7285' },
    { tag: tags.labelName, color: dark ? '#ffa8a8' : '#a61e4d' },
    { tag: tags.string, color: dark ? '#ffc078' : '#a33' },
    { tag: tags.number, color: dark ? '#8ce99a' : '#2b8a3e' },
    { tag: tags.modifier, color: dark ? '#66d9e8' : '#0b7285' },
    { tag: tags.operator, color: dark ? '#ced4da' : '#495057' },
    { tag: tags.comment, color: '#868e96', fontStyle: 'italic' },
    { tag: tags.invalid, color: '#e03131' },
  ]);

export interface ExpressionEditorProps {
  readonly value: string;
  readonly onChange: (expr: string) => void;
  readonly onExecute: () => void;
}

export function ExpressionEditor({ value, onChange, onExecute }: ExpressionEditorProps): ReactNode {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const handlers = useRef({ onChange, onExecute });
  handlers.current = { onChange, onExecute };
  const dark = useComputedColorScheme('light') === 'dark';
  const theme = useRef(new Compartment());

  useEffect(() => {
    const promql = new PromQLExtension().setComplete({ remote: { url: pathPrefix, httpMethod: 'GET' } });
    const editor = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          history(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          highlightSelectionMatches(),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': 'PromQL expression' }),
          placeholder('Enter an expression, e.g. sum by (job) (rate(http_requests_total[5m]))'),
          theme.current.of([]),
          promql.asExtension(),
          Prec.highest(keymap.of([{ key: 'Shift-Enter', run: insertNewlineAndIndent }])),
          keymap.of([
            ...closeBracketsKeymap,
            ...completionKeymap,
            { key: 'Enter', run: () => (handlers.current.onExecute(), true) },
            ...defaultKeymap,
            ...historyKeymap,
            ...lintKeymap,
          ]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) handlers.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
    // The editor is made once; later values arrive through the effect below.
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (editor !== null && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    view.current?.dispatch({
      effects: theme.current.reconfigure([syntaxHighlighting(colours(dark)), EditorView.theme({ '.cm-cursor': { borderLeftColor: dark ? '#fff' : '#000' } }, { dark })]),
    });
  }, [dark]);

  return <div ref={host} className="editor" />;
}
