import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** `vite fleet-server/web` proxies the API to a running server; WHERRY_API says which. */
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // data: URIs would need a hole in the Content-Security-Policy
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { '/api': process.env.WHERRY_API ?? 'http://127.0.0.1:8099' },
  },
});
